// # dates
//
// Days in the Gregorian calendar.

#ifndef DATES_H
#define DATES_H

// ## Functions
//
// - `is_leap_year` whether a year has 366 days
// - `days_in_month` with months from 1 to 12
// - `day_number` days since the first day of the year 1, which is day 0, a Monday
// - `weekday` from 0, Monday, to 6
int is_leap_year(int year);
int days_in_month(int year, int month);
long day_number(int year, int month, int day);
int weekday(int year, int month, int day);

#endif
