# SPDX-License-Identifier: BSD-3-Clause
# Markdown tables of the medians: tables.awk [-v VARIABLE=...] bench.tsv
#   bench, what, name	patterns: the rows wanted; none: all
#   rows	name: a table for each case, with a row for each contender
#		what: a table for each contender, with a row for each case
#		both: one table
# Bounds are cut down to the best of each width.
BEGIN {
	FS = "\t"
	if (!rows)
		rows = "name"
}

/^#/ || (bench && $1 !~ "^(" bench ")$") || (what && $2 !~ "^(" what ")$") ||
	(name && $3 !~ "^(" name ")$") { next }

{
	who = $3
	if (who ~ /^(stree|eytzinger)/) {
		sub(/.*\./, "", who)
		who = "best bound, " who
	}
	# These have one size or few, and are about threads.
	threaded = $1 ~ /^(threads|prealloc|kvm-stall)$/
	column = threaded ? $4 : $5
	where = $1
	if (rows == "name")
		where = where ": " $2
	if (rows == "what")
		where = where ": " who
	if ($1 == "threads")
		where = where ", " $5 " areas"
	else if ($1 == "prealloc")
		where = where ", " $5 " MiB"
	else if (rows == "name" && $4 > 1)
		where = where ", " $4 " threads"
	where = where ", " unit()
	label = rows == "name" ? who : rows == "what" ? $2 : $2 ", " who
	remember()
}

function remember(		value, old) {
	if (!(where in columns)) {
		tables[++table_count] = where
		heads[where] = head()
		columns[where] = 0
	}
	if (!((where, label) in labels)) {
		labels[where, label] = 1
		label_at[where, ++label_count[where]] = label
	}
	if (!((where, column + 0) in column_known)) {
		column_known[where, column + 0] = 1
		column_at[where, ++columns[where]] = column + 0
	}
	value = cell()
	old = cells[where, label, column + 0]
	if (old == "" || value + 0 < old + 0)
		cells[where, label, column + 0] = value
	if ($6 + 0 > 0) {
		spreads[where]++
		spread = ($8 - $7) / $6 * 100
		spread_at[where, spreads[where]] = spread
	}
}

function cell() {
	if ($1 == "memory" || $2 ~ /tables$/)
		return plain($15 == "-" ? $14 : $15)
	if ($1 == "threads" || $1 == "kvm-harvest" ||
	    ($1 == "writer" && $2 ~ /writer$/))
		return plain($13)
	if ($1 == "writer")
		return plain($13) " / " plain($9) " / " plain($10) " / " \
		       plain($11) " / " plain($12)
	if ($1 == "kvm-stall")
		return plain($9) " / " plain($12)
	return plain($6)
}

# 1.234e+06 reads badly.
function plain(number) {
	return number + 0 >= 1000 ? sprintf("%.0f", number) : number
}

# What the columns are.
function head() {
	if ($1 == "kvm-stall")
		return "vCPUs"
	if ($1 ~ /^kvm-commit/)
		return "slots"
	if ($1 ~ /^nested/)
		return "entries"
	return threaded ? "threads" : "areas"
}

function unit() {
	if ($2 ~ /stalls$/)
		return "stalls"
	if ($1 == "memory" || $2 ~ /tables$/)
		return $15 == "-" ? "bytes" : "bytes an area"
	if ($1 == "threads")
		return "million lookups a second"
	if ($1 == "kvm-harvest")
		return "million pages a second"
	if ($1 == "kvm-stall")
		return "ns: median / most"
	if ($1 == "prealloc")
		return "ns a MiB"
	if ($1 == "writer")
		return $2 ~ /writer$/ ? "million replaces a second" : \
		       "million lookups a second / ns p50 / p99 / p99.9 / most"
	return "ns"
}

# Least first, by insertion: there are few.
function sort_columns(where,		i, j, value) {
	for (i = 2; i <= columns[where]; i++) {
		value = column_at[where, i]
		for (j = i - 1; j >= 1 && column_at[where, j] > value; j--)
			column_at[where, j + 1] = column_at[where, j]
		column_at[where, j + 1] = value
	}
}

function median_spread(where,		n, i, j, value) {
	n = spreads[where]
	for (i = 2; i <= n; i++) {
		value = spread_at[where, i]
		for (j = i - 1; j >= 1 && spread_at[where, j] > value; j--)
			spread_at[where, j + 1] = spread_at[where, j]
		spread_at[where, j + 1] = value
	}
	return spread_at[where, int((n + 1) / 2)]
}

function print_table(where,		i, j, value) {
	sort_columns(where)
	printf "\n%s", where
	if (spreads[where])
		printf " (turns spread by %.0f %% in the median)",
		       median_spread(where)
	printf "\n\n| %s |", heads[where]
	for (j = 1; j <= columns[where]; j++)
		printf " %d |", column_at[where, j]
	printf "\n|---|"
	for (j = 1; j <= columns[where]; j++)
		printf "--:|"
	print ""
	for (i = 1; i <= label_count[where]; i++) {
		printf "| %s |", label_at[where, i]
		for (j = 1; j <= columns[where]; j++) {
			value = cells[where, label_at[where, i],
				      column_at[where, j]]
			printf " %s |", value == "" ? "-" : value
		}
		print ""
	}
}

END {
	for (i = 1; i <= table_count; i++)
		print_table(tables[i])
}
