//! A library with a mistake that its own tests find, and what cannot be built for that reason.

use crate::demo::recipe::{Recipe, scripted};

pub(super) fn recipes() -> Vec<Recipe> {
    vec![
        Recipe::library(
            "dates",
            &["dates.c", "dates.h", "dates_test.c"],
            &["check"],
            "compile dates_test.c\nlink-program dates_test dates_test.o dates.o $libraries\n./dates_test\n",
        )
        .fails(),
        Recipe::program("cal", "cal.c", &["dates"]),
        Recipe::program("agenda-tool", "agenda.c", &["dates", "json", "arena", "strbuf"]),
        scripted!("calendar").inputs(&["cal"]),
        scripted!("agenda").inputs(&["agenda-tool"]).files(&["agenda.json"]),
        scripted!("almanac").inputs(&["calendar", "agenda", "pi-digits"]),
    ]
}
