lz=$lz_tool/bin/lz
$lz compress < $mandelbrot_picture > $out
$lz decompress < $out > again
cmp $mandelbrot_picture again
