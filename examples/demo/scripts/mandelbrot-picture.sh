$mandelbrot/bin/mandelbrot 1500 > $out
