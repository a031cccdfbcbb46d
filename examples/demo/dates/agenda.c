// agenda: reads a JSON list of {"date": "YYYY-MM-DD", "what": "..."} and prints it with weekdays.
#include "dates.h"
#include "json.h"

int main(void)
{
    static const char *names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    arena memory;
    strbuf in, error;
    const json *list, *entry;

    arena_init(&memory);
    strbuf_init(&in);
    strbuf_init(&error);
    strbuf_read(&in, stdin);
    list = json_parse(&memory, in.data, in.size, &error);
    if (list == NULL) {
        fprintf(stderr, "agenda: %s\n", error.data);
        return 1;
    }
    for (entry = list->first; entry != NULL; entry = entry->next) {
        const json *date = json_at(entry, "date"), *what = json_at(entry, "what");
        int year, month, day;
        if (date == NULL || what == NULL || sscanf(date->text, "%d-%d-%d", &year, &month, &day) != 3) {
            fprintf(stderr, "agenda: an entry without date or text\n");
            return 1;
        }
        printf("%s %s %s\n", names[weekday(year, month, day)], date->text, what->text);
    }
    return 0;
}
