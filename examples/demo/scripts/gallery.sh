mkdir -p $out
ln -s $mandelbrot_picture $out/mandelbrot.pgm
ln -s $mandelbrot_lz $out/mandelbrot.pgm.lz
ln -s $acorn $out/acorn.txt
$triangle/bin/triangle > $out/triangle.txt
