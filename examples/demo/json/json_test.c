#include "check.h"
#include "json.h"

#include <string.h>

static arena memory;
static strbuf out;

// Read and printed again, or the message.
static const char *again(const char *text, int indent)
{
    json *v;

    strbuf_clear(&out);
    v = json_parse(&memory, text, strlen(text), &out);
    if (v != NULL)
        json_print(&out, v, indent);
    return out.data;
}

int main(void)
{
    const char *config = "{\"servers\": [{\"name\": \"one\"}, {\"name\": \"two\", \"ports\": [80, 443]}]}";
    const json *found;
    strbuf large;
    json *v;
    int i;

    check_begin("json");
    arena_init(&memory);
    strbuf_init(&out);
    CHECK_STR("[1,-0.5e+10,true,false,null,\"a\"]", again(" [ 1 , -0.5e+10,true,false,null, \"a\" ]\n", 0));
    CHECK_STR("{\"a\":{},\"b\":[]}", again("{\"a\" : { } , \"b\" : [ ]}", 0));
    CHECK_STR("{\n  \"a\": [\n    1,\n    2\n  ]\n}", again("{\"a\":[1,2]}", 2));
    CHECK_STR("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\\n\\u0001\"", again("\"\\u00e4\\u20ac\\ud83d\\ude00\\n\\u0001\"", 0));
    CHECK_STR("12345678901234567890123", again("12345678901234567890123", 0));
    CHECK_STR("line 1: a value is needed", again("", 0));
    CHECK_STR("line 2: a value is needed", again("[1,\n]", 0));
    CHECK_STR("line 1: a comma or } is needed", again("{\"a\":1", 0));
    CHECK_STR("line 1: something follows the value", again("01", 0));
    CHECK_STR("line 1: half of a surrogate pair", again("\"\\ud83d\"", 0));
    CHECK_STR("line 2: a control character in a string", again("\"\n\"", 0));
    CHECK_STR("line 1: the string does not end", again("\"abc", 0));

    v = json_parse(&memory, config, strlen(config), &out);
    CHECK(v != NULL);
    found = json_at(v, "servers.1.ports.1");
    CHECK_STR("443", found == NULL ? NULL : found->text);
    CHECK(json_at(v, "servers.2") == NULL);
    CHECK(json_at(v, "clients") == NULL);
    CHECK(json_at(v, "") == v);

    strbuf_init(&large);
    for (i = 0; i < 100000; i++)
        strbuf_char(&large, '[');
    CHECK_STR("line 1: nested too deeply", again(large.data, 0));
    strbuf_clear(&large);
    strbuf_char(&large, '[');
    for (i = 0; i < 40000; i++)
        strbuf_format(&large, "%s{\"number\":%d,\"text\":\"entry %d\"}", i == 0 ? "" : ",", i, i);
    strbuf_char(&large, ']');
    CHECK_STR(large.data, again(large.data, 0));
    return check_end();
}
