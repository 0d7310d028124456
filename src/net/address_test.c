/* Addresses and blocks: what is taken, what is refused, what comes out again. */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void ips_are_parsed_strictly(void **state)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } cases[] = {
        { "10.0.0.1", "10.0.0.1" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "::1", "::1" },
        { "::", "::" },
        { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
        { "::ffff:1.2.3.4", "1.2.3.4" },
        { "::ffff:102:304", "1.2.3.4" },
        { "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        { "", NULL },
        { "1", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "1.2.3.256", NULL },
        { "01.2.3.4", NULL },
        { "1.2.3.04", NULL },
        { "0x1.2.3.4", NULL },
        { "1.2.3.4 ", NULL },
        { " 1.2.3.4", NULL },
        { "1.2.3.4/8", NULL },
        { "1.2.3.4:80", NULL },
        { "[::1]", NULL },
        { "fe80::1%1", NULL },
        { "fe80::1%eth0", NULL },
        { "1::2::3", NULL },
        { ":::", NULL },
        { "12345::", NULL },
        { "::g", NULL },
        { "1:2:3:4:5:6:7", NULL },
        { "1:2:3:4:5:6:7:8:9", NULL },
        { "localhost", NULL },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        char out[ADDRESS_TEXT_MAX];
        bool ok = address_parse_ip(text_from_string(cases[i].in), &address);
        if (ok != (cases[i].out != NULL)) {
            fail_msg("%s: %s", cases[i].in, ok ? "taken" : "refused");
        }
        if (ok) {
            assert_int_equal(address_format_ip(&address, out), strlen(cases[i].out));
            assert_string_equal(out, cases[i].out);
            assert_int_equal(address.port, 0);
        }
    }
    struct address address;
    assert_false(address_parse_ip(text_of("1.2.3.4\0", 8), &address));
    assert_false(address_parse_ip(text_of("1.2\0.3.4", 8), &address));
    assert_false(address_parse_ip(text_of(NULL, 0), &address));
}

static void ports_are_parsed_strictly(void **state)
{
    static const struct {
        const char *in;
        const char *out;
        uint16_t port;
        uint16_t scope;
    } cases[] = {
        { "10.0.0.1:80", "10.0.0.1:80", 80, 0 },
        { "10.0.0.1:0", "10.0.0.1:0", 0, 0 },
        { "10.0.0.1:65535", "10.0.0.1:65535", 65535, 0 },
        { "[::1]:8080", "[::1]:8080", 8080, 0 },
        { "[::ffff:127.0.0.1]:1", "127.0.0.1:1", 1, 0 },
        { "[fe80::1%2]:443", "[fe80::1%2]:443", 443, 2 },
        { "[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%65535]:65535",
          "[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%65535]:65535", 65535, 65535 },
        { "10.0.0.1", NULL, 0, 0 },
        { "10.0.0.1:", NULL, 0, 0 },
        { "10.0.0.1:65536", NULL, 0, 0 },
        { "10.0.0.1:-1", NULL, 0, 0 },
        { "10.0.0.1:+1", NULL, 0, 0 },
        { "10.0.0.1:080", NULL, 0, 0 },
        { "10.0.0.1:80 ", NULL, 0, 0 },
        { "10.0.0.1:80:90", NULL, 0, 0 },
        { ":80", NULL, 0, 0 },
        { "", NULL, 0, 0 },
        { "[", NULL, 0, 0 },
        { "[]", NULL, 0, 0 },
        { "[]:80", NULL, 0, 0 },
        { "[::1]", NULL, 0, 0 },
        { "[::1]80", NULL, 0, 0 },
        { "[::1]:", NULL, 0, 0 },
        { "[::1:80", NULL, 0, 0 },
        { "::1:80", NULL, 0, 0 },
        { "[10.0.0.1]:80", NULL, 0, 0 },
        { "[::1%1]:80", NULL, 0, 0 },
        { "[fe80::1%]:80", NULL, 0, 0 },
        { "[fe80::1%0]:80", NULL, 0, 0 },
        { "[fe80::1%eth0]:80", NULL, 0, 0 },
        { "[fe80::1%65536]:80", NULL, 0, 0 },
        { "[::ffff:169.254.1.1%1]:80", NULL, 0, 0 },
        { "localhost:80", NULL, 0, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        char out[ADDRESS_TEXT_MAX];
        bool ok = address_parse(text_from_string(cases[i].in), &address);
        if (ok != (cases[i].out != NULL)) {
            fail_msg("%s: %s", cases[i].in, ok ? "taken" : "refused");
        }
        if (ok) {
            assert_int_equal(address_format(&address, out), strlen(cases[i].out));
            assert_string_equal(out, cases[i].out);
            assert_int_equal(address.port, cases[i].port);
            assert_int_equal(address.scope, cases[i].scope);
        }
    }
}

static void addresses_pass_through_the_system_unchanged(void **state)
{
    static const char *const cases[] = { "10.0.0.1:80", "[::1]:8080", "[fe80::1%2]:443", "[::]:0",
                                         "0.0.0.0:65535" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address before, after;
        struct sockaddr_storage where;
        assert_true(address_parse(text_from_string(cases[i]), &before));
        socklen_t size = address_to_sockaddr(&before, &where);
        assert_int_equal(where.ss_family, address_is_v4(&before) ? AF_INET : AF_INET6);
        assert_in_range(size, 16, sizeof(where));
        assert_true(address_from_sockaddr(&where, &after));
        assert_true(address_equal(&before, &after));
    }
    struct sockaddr_storage unix_socket = { .ss_family = AF_UNIX };
    struct address address;
    assert_false(address_from_sockaddr(&unix_socket, &address));
}

static struct address address_of(const char *string)
{
    struct address address;
    assert_true(address_parse_ip(text_from_string(string), &address));
    return address;
}

static void kinds_are_told_apart(void **state)
{
    static const struct {
        const char *ip;
        bool v4, loopback, link_local;
    } cases[] = {
        { "127.0.0.1", true, true, false },       { "127.255.0.9", true, true, false },
        { "::ffff:127.0.0.1", true, true, false }, { "::1", false, true, false },
        { "128.0.0.1", true, false, false },      { "::2", false, false, false },
        { "::", false, false, false },            { "169.254.169.254", true, false, true },
        { "169.253.0.1", true, false, false },    { "fe80::1", false, false, true },
        { "febf::1", false, false, true },        { "fec0::1", false, false, false },
        { "::127.0.0.1", false, false, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address = address_of(cases[i].ip);
        assert_int_equal(address_is_v4(&address), cases[i].v4);
        assert_int_equal(address_is_loopback(&address), cases[i].loopback);
        assert_int_equal(address_is_link_local(&address), cases[i].link_local);
    }
    struct address a = address_of("10.0.0.1"), b = address_of("10.0.0.1");
    assert_true(address_equal(&a, &b));
    b.port = 1;
    assert_false(address_equal(&a, &b));
    assert_true(address_same_ip(&a, &b));
    b = address_of("10.0.0.2");
    assert_false(address_same_ip(&a, &b));
}

static void blocks_contain_what_they_should(void **state)
{
    static const struct {
        const char *block;
        const char *ip;
        bool inside;
    } cases[] = {
        { "10.0.0.0/8", "10.255.255.255", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.9.9.9/8", "10.1.1.1", true },
        { "10.0.0.0/9", "10.127.1.1", true },
        { "10.0.0.0/9", "10.128.0.0", false },
        { "192.168.1.1", "192.168.1.1", true },
        { "192.168.1.1", "192.168.1.2", false },
        { "192.168.1.1/32", "192.168.1.1", true },
        { "192.168.1.0/31", "192.168.1.1", true },
        { "0.0.0.0/0", "203.0.113.9", true },
        { "0.0.0.0/0", "::1", false },
        { "::/0", "2001:db8::1", true },
        { "::/0", "10.0.0.1", false },
        { "2001:db8::/32", "2001:db8:ffff::1", true },
        { "2001:db8::/32", "2001:db9::", false },
        { "fe80::/10", "febf::1", true },
        { "fe80::/10", "fec0::1", false },
        { "::1/128", "::1", true },
        { "::1", "::2", false },
        { "::ffff:10.0.0.0/104", "10.1.2.3", true },
        { "::ffff:10.0.0.0/104", "11.1.2.3", false },
        { "::ffff:0:0/96", "10.1.2.3", true },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_block block;
        struct address address = address_of(cases[i].ip);
        address.port = 4242;
        assert_true(address_block_parse(text_from_string(cases[i].block), &block));
        if (address_block_contains(&block, &address) != cases[i].inside) {
            fail_msg("%s in %s", cases[i].ip, cases[i].block);
        }
    }
}

static void bad_blocks_are_refused(void **state)
{
    static const char *const cases[] = { "",           "/8",         "10.0.0.0/",   "10.0.0.0/33",
                                         "::/129",     "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8",
                                         "10.0.0/8",   "::1/",       "10.0.0.0 /8", "10.0.0.0/ 8",
                                         "fe80::1%1/64" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_block block;
        if (address_block_parse(text_from_string(cases[i]), &block)) {
            fail_msg("taken: %s", cases[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ips_are_parsed_strictly),
        cmocka_unit_test(ports_are_parsed_strictly),
        cmocka_unit_test(addresses_pass_through_the_system_unchanged),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(blocks_contain_what_they_should),
        cmocka_unit_test(bad_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
