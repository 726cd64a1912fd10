# SPDX-License-Identifier: BSD-3-Clause
# Markdown tables of the medians: tables.awk bench.tsv
# Bounds are cut down to the best of each width.
BEGIN {
	FS = "\t"
}

/^#/ { next }

{
	name = $3
	if (name ~ /^(stree|eytzinger)/) {
		sub(/.*\./, "", name)
		name = "best bound, " name
	}
	where = $1 SUBSEP $2 SUBSEP $4
	if (!(where in known)) {
		known[where] = 1
		tables[++table_count] = where
	}
	if (!((where, name) in row_known)) {
		row_known[where, name] = 1
		rows[where, ++row_count[where]] = name
	}
	if (!((where, $5) in column_known)) {
		column_known[where, $5] = 1
		columns[where, ++column_count[where]] = $5
	}
	value = cell()
	old = cells[where, name, $5]
	if (old == "" || value + 0 < old + 0)
		cells[where, name, $5] = value
}

function cell() {
	if ($1 == "memory")
		return $15 == "-" ? $14 : $15
	if ($1 == "threads" || ($1 == "writer" && $2 ~ /writer$/))
		return $13
	if ($1 == "writer")
		return $13 " / " $9 " / " $11 " / " $12
	return $6
}

function unit(bench, what) {
	if (bench == "memory")
		return what ~ /stalls/ ? "stalls" : "bytes an area"
	if (bench == "threads")
		return "million lookups a second"
	if (bench == "writer")
		return what ~ /writer$/ ? "million replaces a second" : \
		       "million lookups a second / ns p50 / p99.9 / most"
	return "ns"
}

function print_table(where,		part, i, j) {
	split(where, part, SUBSEP)
	printf "\n%s: %s, %d thread%s, %s\n\n| areas |", part[1], part[2],
	       part[3], part[3] == 1 ? "" : "s", unit(part[1], part[2])
	for (j = 1; j <= column_count[where]; j++)
		printf " %s |", columns[where, j]
	printf "\n|---|"
	for (j = 1; j <= column_count[where]; j++)
		printf "--:|"
	print ""
	for (i = 1; i <= row_count[where]; i++) {
		printf "| %s |", rows[where, i]
		for (j = 1; j <= column_count[where]; j++)
			printf " %s |", cells[where, rows[where, i],
					      columns[where, j]]
		print ""
	}
}

END {
	for (i = 1; i <= table_count; i++)
		print_table(tables[i])
}
