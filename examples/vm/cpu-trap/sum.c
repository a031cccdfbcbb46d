/* Adds eight numbers at once: an older processor does not know how. */
typedef int eight __attribute__((vector_size(32)));

int main(int count, char **arguments)
{
    /* What is only known when it runs is not added by the compiler. */
    volatile eight numbers = { count, count, count, count, count, count, count, count };
    eight sum = numbers + 8;

    (void)arguments;
    return sum[7] == 9 ? 0 : 1;
}
