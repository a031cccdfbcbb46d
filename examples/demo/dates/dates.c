#include "dates.h"

// The mistake that the tests of this library find: every fourth century year is a leap year after all.
int is_leap_year(int year)
{
    return year % 4 == 0 && year % 100 != 0;
}

int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap_year(year));
}

long day_number(int year, int month, int day)
{
    long before = year - 1;
    long number = before * 365 + before / 4 - before / 100 + before / 400 + day - 1;
    int m;

    for (m = 1; m < month; m++)
        number += days_in_month(year, m);
    return number;
}

int weekday(int year, int month, int day)
{
    return (int)(day_number(year, month, day) % 7);
}
