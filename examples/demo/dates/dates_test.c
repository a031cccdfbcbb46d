#include "check.h"
#include "dates.h"

int main(void)
{
    check_begin("dates");
    CHECK(is_leap_year(2024));
    CHECK(!is_leap_year(2026));
    CHECK(!is_leap_year(1900));
    CHECK(is_leap_year(2000));
    CHECK_INT(29, days_in_month(2024, 2));
    CHECK_INT(29, days_in_month(2000, 2));
    CHECK_INT(0, day_number(1, 1, 1));
    CHECK_INT(1, day_number(2000, 3, 1) - day_number(2000, 2, 29));
    CHECK_INT(1, weekday(2000, 2, 29));
    CHECK_INT(5, weekday(2026, 11, 21));
    return check_end();
}
