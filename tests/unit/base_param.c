/* SPDX-License-Identifier: MIT */
/* base/param: every type, quoting, words that are not ours, and malformed values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <string.h>

#include "base/param.h"
#include "lib/errno.h"

static bool flag;
PARAM_BOOL("flag", flag);
static bool noflag;
PARAM_BOOL("noflag", noflag);
static uint64_t number = 7;
PARAM_UINT("number", number);
static char text[8] = "old";
PARAM_STRING("text", text);
static unsigned calls;
static char last[32];
static bool last_negated;

static int custom(const char *value, bool negated)
{
    calls++;
    strncpy(last, value, sizeof(last) - 1);
    last_negated = negated;
    return strcmp(value, "bad") ? 0 : -EINVAL;
}
PARAM_CUSTOM("custom", custom);
static int also_custom(const char *value, bool negated)
{
    calls++;
    return 0;
}
PARAM_CUSTOM("custom", also_custom);

static void booleans(void **state)
{
    static const char *const yes[] = {"flag",      "flag=1",      "flag=on",
                                      "flag=true", "flag=enable", "flag=yes"};
    static const char *const no[] = {"no-flag",    "flag=0",       "flag=off",
                                     "flag=false", "flag=disable", "flag=no"};

    for (unsigned i = 0; i < 6; i++) {
        flag = false;
        param_parse(yes[i]);
        assert_true(flag);
        param_parse(no[i]);
        assert_false(flag);
    }
    param_parse("noflag");
    assert_true(noflag);
    param_parse("no-noflag");
    assert_false(noflag);
    host_log();
    flag = true;
    param_parse("flag=maybe no-flag=1");
    assert_true(flag);
    assert_non_null(strstr(host_log(), "bad value in \"flag=maybe\""));
}

static void numbers(void **state)
{
    param_parse("number=0x20");
    assert_int_equal(number, 32);
    param_parse("number=12 number=x number=1x number= number number=-1 no-number "
                "number=99999999999999999999");
    assert_int_equal(number, 12);
}

static void strings(void **state)
{
    param_parse("text=short");
    assert_string_equal(text, "short");
    param_parse("text=12345678");
    assert_string_equal(text, "short");
    param_parse("text=1234567");
    assert_string_equal(text, "1234567");
    param_parse("text=\"a b\"");
    assert_string_equal(text, "a b");
    param_parse("text=");
    assert_string_equal(text, "");
}

static void customs(void **state)
{
    calls = 0;
    param_parse("custom=one,two custom");
    assert_int_equal(calls, 4);
    assert_string_equal(last, "");
    param_parse("no-custom");
    assert_true(last_negated);
    host_log();
    param_parse("custom=bad");
    assert_non_null(strstr(host_log(), "bad value in \"custom=bad\""));
}

static void not_ours(void **state)
{
    char longest[5000];

    host_log();
    number = 1;
    param_parse("  placeholder \t number=2 -- number=3");
    assert_int_equal(number, 2);
    assert_string_equal(host_log(), "");
    param_parse("unheard-of=5 no-such \"\" =x");
    assert_non_null(strstr(host_log(), "unknown option \"unheard-of\""));
    param_parse("");
    param_parse("\"open quote number=9");
    assert_int_equal(number, 2);
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + sizeof(longest) - 10, " number=5", 10);
    host_log();
    param_parse(longest);
    assert_int_equal(number, 5);
    assert_non_null(strstr(host_log(), "ignored"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans), cmocka_unit_test(numbers),  cmocka_unit_test(strings),
        cmocka_unit_test(customs),  cmocka_unit_test(not_ours),
    };
    return cmocka_run_group_tests_name("base_param", tests, NULL, NULL);
}
