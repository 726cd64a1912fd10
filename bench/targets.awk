# SPDX-License-Identifier: BSD-3-Clause
# Print each target beside its figure: targets.awk bench.tsv
# A figure is a ratio of two medians of one run, a count of bytes or what its
# line says. A line that starts with info has no target; it is there to be seen.
BEGIN {
	FS = "\t"
	split("8 64 512 4096 32764 1000000", sizes, " ")
	tree = "^(judy|absl-mutex|tsearch)"
	bound = "^(stree|eytzinger)"
	array = "sorted-rwlock"
}

/^#/ { next }

{
	key = $1 SUBSEP $2 SUBSEP $3 SUBSEP $5
	ns[key] = $6
	range[key] = $7 " to " $8
	ns[$1, $2, $3, $5, $4] = $6
	p50[key] = $9
	p999[key] = $11
	most[key] = $12
	mops[key, $4] = $13
	bytes[key] = $14
	bytes_area[key] = $15
	seen[key] = 1
	names[$3] = 1
	if ($4 > most_threads)
		most_threads = $4
	commit = $16
	cpu = $17
}

# pair/1.0-ioctls: the change, and what a transaction takes on average
$1 == "kvm-commit" {
	split($2, part, "/")
	if (!((part[1], $5) in change_seen)) {
		change_seen[part[1], $5] = 1
		change_name[++change_count] = part[1]
		change_areas[change_count] = $5
	}
	change_ns[part[1], $3, $5] = $6
	change_ioctls[part[1], $3, $5] = part[2] + 0
}

# Off the boot CPU.
$1 == "kvm-commit-away" {
	split($2, part, "/")
	if ($3 == "gpmm") {
		away_name[++away_count] = part[1]
		away_areas[away_count] = $5
	}
	away_ns[part[1], $3, $5] = $6
}

$1 == "kvm-gate" { gate_ns = $6 }

$1 == "kvm-stall" || $1 == "kvm-harvest" { kvm_rows[++kvm_row_count] = $0 }

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
function fastest(what, pattern, n,		name, top, f) {
	top = 0
	for (name in names) {
		f = mops["writer", what, name, n, 1] + 0
		if (name ~ pattern && f > top) {
			top = f
			best_name = name
		}
	}
	return top
}

function heading(text) {
	printf "\n%s\n", text
}

function verdict(what, value, limit, at_least, note,		ok) {
	ok = at_least ? value >= limit : value <= limit
	printf "%-4s  %-58s %10.3f  %s %-7.4g %s\n", ok ? "ok" : "MISS",
	       what, value, at_least ? ">=" : "<=", limit, note
	if (ok)
		held++
	else
		missed++
}

function info(what, value, note) {
	printf "info  %-58s %10.3f             %s\n", what, value, note
}

function at_most(what, a, b, limit, note) {
	if (a > 0 && b > 0)
		verdict(what, a / b, limit, 0, note)
}

function ratio(what, a, b, note) {
	if (a > 0 && b > 0)
		info(what, a / b, note)
}

function lookups(bench, title,		i, n, what, least) {
	what = "uniform/hits/latency"
	for (i = 1; i <= 6; i++) {
		n = sizes[i]
		least = best(bench, what, bound, n)
		if (n >= 64)
			at_most("latency, " title n " areas / bound",
				figure(bench, what, "gpmm", n), least, 1.25,
				best_name)
		if (n <= 512)
			ratio("the same with qsbr, " title n " areas / bound",
			      figure(bench, what, "gpmm-qsbr", n), least,
			      best_name)
	}
	for (i = 1; i <= 6; i++) {
		n = sizes[i]
		least = best(bench, "uniform/hits/throughput", bound, n)
		what = "64 a section, " title n " areas / bound"
		at_most(what, figure(bench, "uniform/hits/batch64", "gpmm", n),
			least, 1.3, best_name)
	}
}

function peers(		i, n, what, gpmm, limit) {
	split("- 0.8 0.6 0.65 0.5", limit, " ")
	what = "uniform/hits/latency"
	for (i = 2; i <= 5; i++) {
		n = sizes[i]
		gpmm = figure("lookup", what, "gpmm", n)
		at_most("latency, " n " areas / sorted array, rwlock", gpmm,
			figure("lookup", what, array, n), limit[i], "")
		ratio("latency, " n " areas / the same, cmov", gpmm,
		      figure("lookup", what, "sorted-cmov-rwlock", n), "")
		at_most("latency, " n " areas / best locked tree", gpmm,
			best("lookup", what, tree, n), 0.45, best_name)
	}
	for (i = 1; i <= 6; i++)
		independent(sizes[i])
}

function independent(n,		what, gpmm, qsbr, sorted, least) {
	what = "uniform/hits/throughput"
	gpmm = figure("lookup", what, "gpmm", n)
	qsbr = figure("lookup", what, "gpmm-qsbr", n)
	sorted = figure("lookup", what, array, n)
	least = best("lookup", what, tree, n)
	at_most("throughput, " n " areas / sorted array, rwlock", gpmm, sorted,
		0.35, "")
	at_most("throughput, " n " areas / best locked tree", gpmm, least,
		0.15, best_name)
	ratio("the same with qsbr, " n " areas / sorted array, rwlock", qsbr,
	      sorted, "")
	ratio("the same with qsbr, " n " areas / best locked tree", qsbr,
	      least, best_name)
	ratio("throughput, " n " areas / sorted array, rwlock, cmov", gpmm,
	      figure("lookup", what, "sorted-cmov-rwlock", n), "")
}

function at_pace(pace, name, n) {
	return mops["writer", pace "/reader", name, n, 1] + 0
}

function tail(pace, name, n) {
	return p999["writer", pace "/reader", name, n] + 0
}

function beside(n,		flat, peer, note) {
	if (!at_pace("alone", "gpmm", n))
		return
	note = sprintf("%.0f replaces/s in fact",
		       1e6 * mops["writer", "10000/s/writer", "gpmm", n, 1])
	verdict("reader beside 10,000 replaces/s, " n " areas / alone",
		at_pace("10000/s", "gpmm", n) / at_pace("alone", "gpmm", n),
		0.9, 1, note)
	flat = at_pace("flat-out", "gpmm", n)
	peer = fastest("flat-out/reader", "rwlock", n)
	if (peer > 0)
		verdict("reader, writer flat out, " n " areas / best rwlock",
			flat / peer, 50, 1, best_name)
	peer = at_pace("flat-out", "absl-mutex", n)
	if (peer > 0)
		verdict("reader, writer flat out, " n " areas / absl's Mutex",
			flat / peer, 5, 1, "")
	note = sprintf("%.0f ns / %.0f ns; %.3g M and %.3g M replaces/s",
		       tail("flat-out", "gpmm", n),
		       tail("flat-out", "sorted-rcu", n),
		       mops["writer", "flat-out/writer", "gpmm", n, 1],
		       mops["writer", "flat-out/writer", "sorted-rcu", n, 1])
	at_most("reader's p99.9, writer flat out, " n " / sorted array, RCU",
		tail("flat-out", "gpmm", n), tail("flat-out", "sorted-rcu", n),
		1.5, note)
	ratio("the same at 10,000 replaces/s each, " n,
	      tail("10000/s", "gpmm", n), tail("10000/s", "sorted-rcu", n), "")
	ratio("the same with qsbr, writer flat out, " n,
	      tail("flat-out", "gpmm-qsbr", n),
	      tail("flat-out", "sorted-rcu", n), "")
}

function threads(n,		what, one) {
	what = "uniform/hits/throughput"
	one = mops["threads", what, "gpmm", n, 1]
	if (one > 0 && most_threads >= 2)
		verdict("two readers, " n " areas / one",
			mops["threads", what, "gpmm", n, 2] / one, 1.95, 1, "")
	ratio("two threads with a static array, " n " / one",
	      mops["cpus", what, "eytzinger.1.32.scalar", n, 2],
	      mops["cpus", what, "eytzinger.1.32.scalar", n, 1], "")
}

function changes(		i, n, bare, gpmm, what) {
	what = "pair/1/round-trip"
	for (i = 1; i <= 5; i++) {
		n = sizes[i]
		if (("change", what, "cpus", n) in seen)
			info("a line to the reader's CPU and back, " n \
			     " areas: ns", figure("change", what, "cpus", n),
			     range["change", what, "cpus", n])
		bare = figure("change", "pair/1/alone", "absl-bare", n)
		at_most("map+unmap beside a reader, " n " areas / bare absl",
			figure("change", "pair/1/reader", "gpmm", n), bare, 4,
			"")
		at_most("the same, transactions of 100, " n " / bare absl",
			figure("change", "pair/txn-100/reader", "gpmm", n),
			figure("change", "pair/txn-100/singles", "absl-bare",
			       n), 1.2, "pairs one by one, by turns")
		ratio("the same, another area each time, " n \
		      " / bare absl",
		      figure("change", "swap/txn-100/reader", "gpmm", n),
		      figure("change", "swap/txn-100/alone", "absl-bare", n),
		      "")
	}
	n = 32764
	gpmm = figure("change", "pair/1/reader", "gpmm", n)
	if (gpmm)
		verdict("map+unmap beside a reader, " n ": times faster than " \
			"rwlock", figure("change", "pair/1/reader", array, n) \
			/ gpmm, 20, 1, "")
}

function memory(		i, n, how, j) {
	split("ascending random churned", how, " ")
	for (i = 4; i <= 6; i++)
		for (j = 1; j <= 3; j++) {
			n = sizes[i]
			if (("memory", how[j], "gpmm", n) in seen)
				verdict("bytes an area, " n ", " how[j],
					bytes_area["memory", how[j], "gpmm",
						   n], 56, 0, "")
		}
	n = 4096
	if (!(("memory", "storm/default/long/total", "gpmm", n) in seen))
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

# The worst of three cases against the scans whose names match.
function hole_ratio(pattern, n,		kind, j, least, top, r) {
	split("first mixed tail", kind, " ")
	top = 0
	for (j = 1; j <= 3; j++) {
		least = best("hole", kind[j], pattern, n)
		r = least ? figure("hole", kind[j], "gpmm", n) / least : 0
		if (r > top) {
			top = r
			hole_note = kind[j] " hole, " best_name
		}
	}
	return top
}

function holes(		i, n, r) {
	n = 100000
	at_most("find_free, worst of " n " areas / lookup",
		figure("hole", "worst", "gpmm", n),
		figure("hole", "worst/lookup", "gpmm", n), 3, "")
	for (i = 1; i <= 5; i++) {
		n = sizes[i]
		r = hole_ratio("^(gpmm-scan|absl-mutex)$", n)
		if (r)
			verdict("find_free, " n " areas / scan of a tree", r,
				1, 0, hole_note)
		r = hole_ratio("^sorted-rwlock$", n)
		if (r)
			info("find_free, " n " areas / scan of an array, " \
			     "rwlock", r, hole_note)
	}
}

function kvm(		i, name, n, row, what) {
	for (i = 1; i <= change_count; i++) {
		name = change_name[i]
		n = change_areas[i]
		at_most("kvm, " name ", " n " slots: ioctls / hand-written",
			change_ioctls[name, "gpmm", n],
			change_ioctls[name, "raw-ioctl", n], 1,
			change_ioctls[name, "gpmm", n] " a transaction")
		at_most("kvm, " name ", " n " slots: time / hand-written",
			change_ns[name, "gpmm", n],
			change_ns[name, "raw-ioctl", n], 1.05, "")
	}
	for (i = 1; i <= away_count; i++) {
		name = away_name[i]
		n = away_areas[i]
		what = away_ns[name, "raw-ioctl", n]
		if (what)
			info("kvm, " name ", " n " slots, another CPU: time " \
			     "/ hand-written", away_ns[name, "gpmm", n] / what,
			     sprintf("of %.0f us", what / 1000))
	}
	# A few ns to enter, and as many to leave.
	if (gate_ns)
		verdict("kvm, enter and leave an open gate: ns", gate_ns, 20,
			0, "")
	for (i = 1; i <= kvm_row_count; i++) {
		split(kvm_rows[i], row, "\t")
		what = row[1] ", " row[2]
		if (row[1] == "kvm-stall")
			info(what ", " row[4] " vCPUs: us, median",
			     row[9] / 1000,
			     sprintf("most %.0f us", row[12] / 1000))
		else
			info(what ": GiB of guest memory a second",
			     row[13] * 4096 * 1e6 / 2 ^ 30, "")
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
	if (("nested_map", "1G-split-4K/tables", "gpmm", 1) in seen)
		verdict("nested, split 1G to 4K at a page: tables",
			bytes["nested_map", "1G-split-4K/tables", "gpmm", 1] \
			/ 4096, 2, 0, "")
	n = 512
	at_most("nested, translate, warm / four dependent loads",
		figure("nested_walk", "latency/2M", "gpmm", n),
		figure("nested_walk", "latency/2M", "four-loads", n), 1.5, "")
}

function guest_memory(		i, j, k, n, spread, verb, gpmm, over,
				what) {
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
			over = figure("guest", "load/8/" spread[j], "gpmm", n) \
			       - figure("guest", "load/8/" spread[j],
					"find-load", n)
			what = "guest, load, " n " " spread[j] \
			       ": ns over the lookup's"
			# The spread of DRAM is ten times what is asked for.
			if (over && spread[j] == "near")
				verdict(what, over, 3, 0, "")
			else if (over)
				info(what, over, "")
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
		verdict("preallocating 4 GiB in parts: two threads / one", one / two,
			1.8, 1, "")
}

END {
	printf "      %-58s %10s  %s\n", "target", "figure", "wanted"
	heading("Lookups")
	lookups("lookup", "")
	lookups("lookup-avx2", "AVX2, ")
	peers()
	heading("Lookups beside a writer, and on two CPUs")
	beside(512)
	beside(32764)
	threads(512)
	threads(32764)
	heading("Changes, memory, holes")
	changes()
	memory()
	holes()
	heading("KVM")
	kvm()
	heading("Nested tables")
	nested()
	heading("Guest memory")
	guest_memory()
	preallocation()
	printf "\n%d held, %d missed; commit %s, %s\n", held, missed, commit,
	       cpu
}
