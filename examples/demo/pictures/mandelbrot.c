// mandelbrot SIZE: the Mandelbrot set as a grey picture (PGM) of SIZE by SIZE points.
//
// The arithmetic is fixed-point, so that every machine and compiler gives the same picture.
#include <stdio.h>
#include <stdlib.h>

enum { SHIFT = 24, MOST = 255 };

int main(int argc, char **argv)
{
    long size = argc > 1 ? atol(argv[1]) : 256, x, y;
    const long one = 1L << SHIFT;

    if (size < 1 || size > 10000) {
        fprintf(stderr, "usage: mandelbrot SIZE\n");
        return 2;
    }
    printf("P5\n%ld %ld\n255\n", size, size);
    for (y = 0; y < size; y++)
        for (x = 0; x < size; x++) {
            long cr = 3 * one * x / size - 2 * one - one / 4, ci = 3 * one * y / size - 3 * one / 2;
            long zr = 0, zi = 0, rr = 0, ii = 0;
            int steps = 0;
            while (steps < MOST && rr + ii < 4 * one) {
                zi = (zr * zi >> (SHIFT - 1)) + ci;
                zr = rr - ii + cr;
                rr = zr * zr >> SHIFT;
                ii = zi * zi >> SHIFT;
                steps++;
            }
            putchar(MOST - steps);
        }
    return 0;
}
