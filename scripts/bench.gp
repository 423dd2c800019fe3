# SPDX-License-Identifier: GPL-2.0
# Plots of the benchmark: gnuplot -c bench.gp DIR, after bench-table.py DIR

dir = ARG1
names = "alloc close cycle"
titles = "'Allocate' 'Close' 'Allocate, map, write to every page, unmap, close'"
there(file) = system(sprintf("[ -s '%s' ] && echo 1 || echo 0", file)) + 0
warm(machine) = sprintf("%s/warm-%s.dat", dir, machine)

icount = ""
do for [m in "cortex-a72 max"] {
	if (there(warm("icount-".m))) { icount = icount." icount-".m }
}
cpu(machine) = machine[8:]

# Written twice: SVG to scale, PNG to look at
do for [format in "svg png"] {
	if (format eq "svg") {
		set terminal svg size 800,500 font "sans,13" background "white"
	} else {
		set terminal pngcairo size 1200,750 font "sans,13"
	}

	# Stock is grey, ours blue; one kind of line for each CPU
	set logscale xy
	set grid
	set yrange [1:*]
	set key left top
	set xlabel "size of the buffer"
	set ylabel "µs (1 µs = 1000 instructions), p50, warm"
	set xtics ("4K" 4096, "64K" 65536, "1M" 1048576, "8M" 8388608, "64M" 67108864)
	do for [i = 1:3] {
		set title word(titles, i)
		set output sprintf("%s/%s.%s", dir, word(names, i), format)
		plot for [j = 1:words(icount)] warm(word(icount, j)) \
			using 1:(column(2 * i)) with linespoints lc rgb "#888888" dt j pt 2 * j + 3 \
			title "stock, -cpu ".cpu(word(icount, j)), \
			for [j = 1:words(icount)] warm(word(icount, j)) \
			using 1:(column(2 * i + 1)) with linespoints lc rgb "#0060c0" dt j pt 2 * j + 3 \
			title "ours, -cpu ".cpu(word(icount, j))
		unset output
	}

	# The bytes are the same on every CPU
	unset logscale
	set xtics 1, 1, 8
	set yrange [0:*]
	set xlabel "devices that share a buffer of 64 MiB"
	set ylabel "MiB of caches maintained"
	set title "Written by the CPU, mapped, one access by the CPU, unmapped"
	if (icount ne "") {
		set output sprintf("%s/maintenance.%s", dir, format)
		file = sprintf("%s/dma-%s.dat", dir, word(icount, 1))
		plot file using 1:2 with linespoints lc rgb "#888888" pt 5 title "stock", \
			file using 1:3 with linespoints lc rgb "#0060c0" pt 7 title "ours"
		unset output
	}

	# One CPU is enough for the places
	space(percent) = sprintf("%s/fragment-%s.dat", dir, percent)
	if (there(space("50"))) {
		set xtics autofreq
		set yrange [0:1.05]
		set key right top
		set xlabel "buffers allocated, of 4 KiB to 12 MiB, others closed at random"
		set ylabel "largest buffer to be had / all that is free"
		set title "Carveout of 256 MiB"
		set output sprintf("%s/fragment.%s", dir, format)
		plot for [percent in "50 70 90"] space(percent) using 1:2 with linespoints \
			title percent." % filled"
		unset output
		set key left top
	}

	# The mix: median, 99th percentile and maximum side by side
	set logscale y
	set yrange [1:*]
	unset xlabel
	set xtics autofreq
	set bmargin 4
	set ylabel "µs (1 µs = 1000 instructions)"
	set style data histograms
	set style histogram clustered gap 1
	set style fill solid border -1
	set key right top outside
	do for [machine in icount] {
		set title "64 live buffers of 4 KiB to 32 MiB, -cpu ".cpu(machine)
		set output sprintf("%s/mix-%s.%s", dir, cpu(machine), format)
		file = sprintf("%s/mix-%s.dat", dir, machine)
		plot file using 2:xtic(1) lc rgb "#cccccc" title "p50 stock", \
			"" using 3 lc rgb "#a0c8f0" title "p50 ours", \
			"" using 4 lc rgb "#909090" title "p99 stock", \
			"" using 5 lc rgb "#4090d8" title "p99 ours", \
			"" using 6 lc rgb "#505050" title "max stock", \
			"" using 7 lc rgb "#0050a0" title "max ours"
		unset output
	}
	reset
}
