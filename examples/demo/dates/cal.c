// cal YEAR: the calendar of a year.
#include "dates.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int year = argc > 1 ? atoi(argv[1]) : 2026, month, day;

    for (month = 1; month <= 12; month++) {
        printf("%d-%02d\nMo Tu We Th Fr Sa Su\n%*s", year, month, 3 * weekday(year, month, 1), "");
        for (day = 1; day <= days_in_month(year, month); day++)
            printf("%2d%c", day, weekday(year, month, day) == 6 ? '\n' : ' ');
        printf("\n\n");
    }
    return 0;
}
