# SPDX-License-Identifier: BSD-3-Clause
# Print each target beside its figure: targets.awk bench.tsv
# A figure is a ratio of two medians of one run, or a count of bytes.
BEGIN {
	FS = "\t"
	split("8 64 512 4096 32764 1000000", sizes, " ")
}

/^#/ { next }

{
	key = $1 SUBSEP $2 SUBSEP $3 SUBSEP $5
	ns[key] = $6
	ns[$1, $2, $3, $5, $4] = $6
	p999[key] = $11
	mops[key, $4] = $13
	bytes[key] = $14
	bytes_area[key] = $15
	seen[$1, $2, $3, $5] = 1
	names[$3] = 1
	if ($4 > most_threads)
		most_threads = $4
}

function figure(bench, what, name, n) {
	return ns[bench, what, name, n] + 0
}

# The least of all contenders whose names match; 0 where there is none.
function best(bench, what, pattern, n,		name, least, f) {
	least = 0
	best_name = "-"
	for (name in names) {
		f = figure(bench, what, name, n)
		if (name ~ pattern && f > 0 && (!least || f < least)) {
			least = f
			best_name = name
		}
	}
	return least
}

# The most operations a second of those whose names match.
function fastest(what, pattern, n,		name, most, f) {
	most = 0
	for (name in names) {
		f = mops["writer", what, name, n, 1] + 0
		if (name ~ pattern && f > most) {
			most = f
			best_name = name
		}
	}
	return most
}

function verdict(what, value, limit, at_least, note,		ok) {
	ok = at_least ? value >= limit : value <= limit
	printf "%-4s  %-58s %10.3f  %s %-8g %s\n", ok ? "ok" : "MISS",
	       what, value, at_least ? ">=" : "<=", limit, note
	if (ok)
		held++
	else
		missed++
}

function at_most(what, a, b, limit, note) {
	if (a > 0 && b > 0)
		verdict(what, a / b, limit, 0, note)
}

function lookups(bench, title,		i, n, gpmm, what) {
	what = "uniform/hits/latency"
	for (i = 1; i <= 6; i++) {
		n = sizes[i]
		gpmm = figure(bench, what, "gpmm", n)
		if (n >= 64)
			at_most("latency, " title n " areas / bound", gpmm,
				best(bench, what, bound, n), 1.25, best_name)
	}
	what = "uniform/hits/batch64"
	for (i = 2; i <= 6; i++) {
		n = sizes[i]
		at_most("64 a section, " title n " areas / bound",
			figure(bench, what, "gpmm", n),
			best(bench, "uniform/hits/throughput", bound, n),
			1.3, best_name)
	}
}

function peers(		i, n, what, gpmm, limit) {
	split("- 0.8 0.6 0.65 0.5", limit, " ")
	what = "uniform/hits/latency"
	for (i = 2; i <= 5; i++) {
		n = sizes[i]
		gpmm = figure("lookup", what, "gpmm", n)
		at_most("latency, " n " areas / sorted array, rwlock", gpmm,
			figure("lookup", what, "sorted-rwlock", n), limit[i],
			"")
		at_most("latency, " n " areas / best locked tree", gpmm,
			best("lookup", what, tree, n), 0.45, best_name)
	}
	what = "uniform/hits/throughput"
	for (i = 2; i <= 5; i++) {
		n = sizes[i]
		gpmm = figure("lookup", what, "gpmm", n)
		at_most("throughput, " n " areas / sorted array, rwlock", gpmm,
			figure("lookup", what, "sorted-rwlock", n), 0.35, "")
		at_most("throughput, " n " areas / best locked tree", gpmm,
			best("lookup", what, tree, n), 0.15, best_name)
	}
}

function beside(n,		alone, paced, flat, peer, a, b) {
	alone = mops["writer", "alone/reader", "gpmm", n, 1] + 0
	if (!alone)
		return
	paced = mops["writer", "10000/s/reader", "gpmm", n, 1]
	flat = mops["writer", "flat-out/reader", "gpmm", n, 1]
	verdict("reader beside 10,000 replaces/s, " n " areas / alone",
		paced / alone, 0.9, 1, "")
	peer = fastest("flat-out/reader", "rwlock", n)
	verdict("reader, writer flat out, " n " areas / best rwlock",
		flat / peer, 50, 1, best_name)
	peer = mops["writer", "flat-out/reader", "absl-mutex", n, 1]
	if (peer > 0)
		verdict("reader, writer flat out, " n " areas / absl's Mutex",
			flat / peer, 5, 1, "")
	a = p999["writer", "flat-out/reader", "gpmm", n]
	b = p999["writer", "flat-out/reader", "sorted-rcu", n]
	at_most("reader's p99.9, writer flat out, " n " / sorted array, RCU",
		a, b, 1.5, "")
}

function threads(n,		what, one) {
	what = "uniform/hits/throughput"
	one = mops["threads", what, "gpmm", n, 1]
	if (one > 0 && most_threads >= 2)
		verdict("two readers, " n " areas / one",
			mops["threads", what, "gpmm", n, 2] / one, 1.95, 1, "")
}

function changes(		i, n, bare) {
	for (i = 1; i <= 5; i++) {
		n = sizes[i]
		bare = figure("change", "pair/1/alone", "absl-bare", n)
		at_most("map+unmap beside a reader, " n " areas / bare absl",
			figure("change", "pair/1/reader", "gpmm", n), bare, 4,
			"")
		at_most("the same, transactions of 100, " n " / bare absl",
			figure("change", "pair/txn-100/reader", "gpmm", n),
			bare, 1.2, "")
	}
	n = 32764
	if (figure("change", "pair/1/reader", "gpmm", n))
		verdict("map+unmap beside a reader, " n ": times faster than " \
			"rwlock",
			figure("change", "pair/1/reader", "sorted-rwlock", n) \
			/ figure("change", "pair/1/reader", "gpmm", n), 20, 1,
			"")
}

function memory(		i, n, how, j) {
	split("ascending random churned", how, " ")
	for (i = 4; i <= 6; i++)
		for (j = 1; j <= 3; j++) {
			n = sizes[i]
			if (seen["memory", how[j], "gpmm", n])
				verdict("bytes an area, " n ", " how[j],
					bytes_area["memory", how[j], "gpmm",
						   n], 56, 0, "")
		}
	n = 4096
	if (!seen["memory", "storm/default/long/total", "gpmm", n])
		return
	at_most("storm: most memory, four times as long / brief",
		bytes["memory", "storm/default/long/total", "gpmm", n],
		bytes["memory", "storm/default/brief/total", "gpmm", n], 1.1,
		"")
	verdict("storm: most bytes in limbo, of 1 MiB allowed",
		bytes["memory", "storm/1MiB/brief/limbo", "gpmm", n] / 2 ^ 20,
		1.05, 0, "")
	verdict("storm, slow reader: most bytes in limbo, of 1 MiB",
		bytes["memory", "storm/1MiB/slow-reader/limbo", "gpmm", n] \
		/ 2 ^ 20, 1.05, 0, "")
}

function holes(		i, j, n, kind, scan, own) {
	n = 100000
	at_most("find_free, worst of " n " areas / lookup",
		figure("hole", "worst", "gpmm", n),
		figure("hole", "worst/lookup", "gpmm", n), 3, "")
	split("first mixed tail", kind, " ")
	for (i = 1; i <= 5; i++)
		for (j = 1; j <= 3; j++) {
			n = sizes[i]
			scan = best("hole", kind[j],
				    "^(sorted-rwlock|gpmm-scan)$", n)
			at_most("find_free, " kind[j] " of " n \
				" areas / linear scan",
				figure("hole", kind[j], "gpmm", n), scan, 1,
				best_name)
		}
}

function nested(		n) {
	n = 262144
	at_most("nested, map 1G in 4K leaves / plain loop",
		figure("nested_map", "1G-in-4K/map", "gpmm", n),
		figure("nested_map", "1G-in-4K/map", "loop", n), 2, "")
	at_most("nested, unmap 1G in 4K leaves / plain loop",
		figure("nested_map", "1G-in-4K/unmap-drain", "gpmm", n),
		figure("nested_map", "1G-in-4K/unmap", "loop", n), 2, "")
	at_most("nested, map 1T in 1G leaves, us",
		figure("nested_map", "1T-in-1G/map", "gpmm", 1024), 1000,
		20, "")
	n = 512
	at_most("nested, translate, warm / four dependent loads",
		figure("nested_walk", "latency/2M", "gpmm", n),
		figure("nested_walk", "latency/2M", "four-loads", n), 1.5, "")
}

function guest_memory(		i, j, k, n, spread, verb, gpmm) {
	split("near far", spread, " ")
	split("read write", verb, " ")
	for (i = 2; i <= 4; i += 2)
		for (j = 1; j <= 2; j++) {
			n = sizes[i]
			gpmm = figure("guest", "read/64/" spread[j], "gpmm", n)
			at_most("guest, read 64 bytes, " n " " spread[j] \
				" / find + memcpy", gpmm, figure("guest",
				"read/64/" spread[j], "find-memcpy", n), 1.3,
				"")
			gpmm = figure("guest", "load/8/" spread[j], "gpmm", n)
			if (gpmm)
				verdict("guest, load, " n " " spread[j] \
					": ns over the lookup's", gpmm - \
					figure("guest", "load/8/" spread[j],
					"find-load", n), 3, 0, "")
			gpmm = figure("guest", "cached/" spread[j], "gpmm", n)
			if (gpmm)
				verdict("guest, cached translation, " n ": ns",
					gpmm - figure("guest", "cached/" \
					spread[j], "nothing", n), 2, 0, "")
		}
	for (k = 1; k <= 2; k++) {
		at_most("guest, " verb[k] " 4 KiB, 64 far / memcpy",
			figure("guest", verb[k] "/4KiB/far", "gpmm", 64),
			figure("guest", verb[k] "/4KiB/far", "memcpy", 64),
			1 / 0.95, "")
		at_most("guest, " verb[k] " 1 MiB, 64 far / memcpy",
			figure("guest", verb[k] "/1MiB/far", "gpmm", 64),
			figure("guest", verb[k] "/1MiB/far", "memcpy", 64),
			1 / 0.95, "")
	}
}

function preallocation(		n, one, two) {
	n = 4096
	one = ns["prealloc", "small-pages", "gpmm", n, 1] + 0
	two = ns["prealloc", "small-pages", "gpmm", n, 2] + 0
	if (one > 0 && two > 0)
		verdict("preallocating 4 GiB: two threads / one", one / two,
			1.8, 1, "")
}

END {
	tree = "^(judy|absl-mutex|tsearch)"
	bound = "^(stree|eytzinger)"
	printf "%-4s  %-58s %10s  %s\n", "", "target", "figure", "wanted"
	lookups("lookup", "")
	lookups("lookup-avx2", "AVX2, ")
	peers()
	beside(512)
	beside(32764)
	threads(512)
	threads(32764)
	changes()
	memory()
	holes()
	nested()
	guest_memory()
	preallocation()
	printf "%d held, %d missed\n", held, missed
}
