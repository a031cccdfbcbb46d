// life GENERATIONS FILE: Conway's Game of Life on a torus of 64 by 32 cells, from a picture of `#` and `.`.
#include "strbuf.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, HEIGHT = 32 };

static unsigned char now[HEIGHT][WIDTH], next[HEIGHT][WIDTH];

static void step(void)
{
    int x, y, dx, dy;

    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++) {
            int neighbours = -now[y][x];
            for (dy = HEIGHT - 1; dy <= HEIGHT + 1; dy++)
                for (dx = WIDTH - 1; dx <= WIDTH + 1; dx++)
                    neighbours += now[(y + dy) % HEIGHT][(x + dx) % WIDTH];
            next[y][x] = neighbours == 3 || (neighbours == 2 && now[y][x]);
        }
    memcpy(now, next, sizeof now);
}

int main(int argc, char **argv)
{
    strbuf in;
    size_t at;
    long generations, g, alive = 0;
    int x = 0, y = 0;

    strbuf_init(&in);
    if (argc != 3 || strbuf_read_file(&in, argv[2]) != 0) {
        fprintf(stderr, "usage: life GENERATIONS FILE, which can be read\n");
        return 2;
    }
    for (at = 0; at < in.size; at++) {
        if (in.data[at] == '\n') {
            x = 0;
            y++;
        } else if (y < HEIGHT && x < WIDTH) {
            now[y][x++] = in.data[at] == '#';
        }
    }
    generations = atol(argv[1]);
    for (g = 0; g < generations; g++)
        step();
    for (y = 0; y < HEIGHT; y++) {
        for (x = 0; x < WIDTH; x++) {
            putchar(now[y][x] ? '#' : '.');
            alive += now[y][x];
        }
        putchar('\n');
    }
    printf("%ld alive after %ld generations\n", alive, generations);
    return 0;
}
