// # markdown
//
// Headings, paragraphs, lists, indented code, `code`, *emphasis* and **strong**
// from Markdown to HTML. What is special in HTML is escaped.

#ifndef MARKDOWN_H
#define MARKDOWN_H

#include "strbuf.h"

// ## Functions
//
// - `markdown_to_html` appends the HTML of a text
void markdown_to_html(strbuf *out, const char *text, size_t size);

#endif
