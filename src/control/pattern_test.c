/* Shapes of texts, durations, distances. */
#include "control/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    enum pattern pattern;
    const char *text;
    bool fits;
} shapes[] = {
    { PATTERN_DNS_LABEL, "a-1", true },
    { PATTERN_DNS_LABEL, "A", false },
    { PATTERN_DNS_LABEL, "-a", false },
    { PATTERN_DNS_LABEL, "a.b", false },
    { PATTERN_DNS_LABEL, "", false },
    { PATTERN_DNS_SUBDOMAIN, "a.b-c.d", true },
    { PATTERN_DNS_SUBDOMAIN, "a..b", false },
    { PATTERN_DNS_SUBDOMAIN, "a.", false },
    { PATTERN_HOSTNAME, "*.example.com", true },
    { PATTERN_HOSTNAME, "example.com", true },
    { PATTERN_HOSTNAME, "*", false },
    { PATTERN_HOSTNAME, "*.*.com", false },
    { PATTERN_HOSTNAME, "a.*.com", false },
    { PATTERN_HOSTNAME, "Example.com", false },
    { PATTERN_HOSTNAME, "192.168.1.1", false },
    { PATTERN_HOSTNAME, "example.com:80", false },
    { PATTERN_PRECISE_HOSTNAME, "*.example.com", false },
    { PATTERN_GROUP, "", true },
    { PATTERN_GROUP, "apps", true },
    { PATTERN_GROUP, "a_b", false },
    { PATTERN_KIND, "HTTPRoute", true },
    { PATTERN_KIND, "1x", false },
    { PATTERN_KIND, "x-", false },
    { PATTERN_HEADER_NAME, "X-A_b!", true },
    { PATTERN_HEADER_NAME, "x y", false },
    { PATTERN_HEADER_NAME, ":path", false },
    { PATTERN_HEADER_VALUE, "a  b\tc", true },
    { PATTERN_HEADER_VALUE, " a", false },
    { PATTERN_HEADER_VALUE, "a\r\nb", false },
    { PATTERN_HEADER_VALUE, "a ", false },
    { PATTERN_URI_PATH, "/a%2Fb~;=@", true },
    { PATTERN_URI_PATH, "/a%2", false },
    { PATTERN_URI_PATH, "/a b", false },
    { PATTERN_URI_PATH, "/a?b", false },
    { PATTERN_CORS_ORIGIN, "*", true },
    { PATTERN_CORS_ORIGIN, "https://*.a.com:8443", true },
    { PATTERN_CORS_ORIGIN, "http://*", true },
    { PATTERN_CORS_ORIGIN, "http://*:80", true },
    { PATTERN_CORS_ORIGIN, "https://a.com/", false },
    { PATTERN_CORS_ORIGIN, "ftp://a.com", false },
    { PATTERN_CORS_ORIGIN, "https://a..com", false },
    { PATTERN_CORS_ORIGIN, "https://a.com:", false },
    { PATTERN_CORS_ORIGIN, "https://a.com:123456", false },
    { PATTERN_PREFIXED_PATH, "weft.dev/gateway-controller", true },
    { PATTERN_PREFIXED_PATH, "weft.dev", false },
    { PATTERN_PREFIXED_PATH, "weft.dev/", false },
    { PATTERN_ADDRESS_TYPE, "Hostname", true },
    { PATTERN_ADDRESS_TYPE, "hostname", false },
    { PATTERN_ADDRESS_TYPE, "a.b/c", true },
    { PATTERN_PROTOCOL, "HTTPS", true },
    { PATTERN_PROTOCOL, "a.b/c", true },
    { PATTERN_PROTOCOL, "HTTP/2", false },
    { PATTERN_ABSOLUTE_URI, "spiffe://a/b", true },
    { PATTERN_ABSOLUTE_URI, "a/b", false },
    { PATTERN_LABEL_KEY, "app.kubernetes.io/name", true },
    { PATTERN_LABEL_KEY, "a/b/c", false },
    { PATTERN_LABEL_KEY, "/b", false },
    { PATTERN_LABEL_VALUE, "", true },
    { PATTERN_LABEL_VALUE, "a_b.C-1", true },
    { PATTERN_LABEL_VALUE, "a b", false },
    { PATTERN_WELL_KNOWN_CA, "System", true },
    { PATTERN_WELL_KNOWN_CA, "system", false },
    { PATTERN_WELL_KNOWN_CA, "a.b/c", true },
    { PATTERN_ROUTABILITY, "", true },
    { PATTERN_ROUTABILITY, "Cluster", true },
    { PATTERN_ROUTABILITY, "Public", false },
    { PATTERN_ROUTABILITY, "x.k8s.io/a", false },
    { PATTERN_ROUTABILITY, "testing.x-k8s.io/sentinel", true },
    { PATTERN_PORT_NAME, "http-2", true },
    { PATTERN_PORT_NAME, "80", false },
    { PATTERN_PORT_NAME, "a--b", false },
    { PATTERN_DATA_KEY, "tls.crt", true },
    { PATTERN_DATA_KEY, "..", false },
    { PATTERN_DATA_KEY, "a/b", false },
    { PATTERN_IP_ADDRESS, "fd00::1", true },
    { PATTERN_IP_ADDRESS, "1.2.3", false },
    { PATTERN_IP_ADDRESS, "01.2.3.4", false },
};

static void matches_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (pattern_matches(shapes[i].pattern, text_from_string(shapes[i].text)) !=
            shapes[i].fits) {
            fail_msg("\"%s\" against pattern %d", shapes[i].text, (int)shapes[i].pattern);
        }
        assert_non_null(pattern_words(shapes[i].pattern));
    }
    assert_false(pattern_matches(PATTERN_IP_ADDRESS, TEXT("1.2.3.4\0x")));
    assert_false(pattern_matches(PATTERN_HEADER_NAME, TEXT("a\0")));
}

static void limits_lengths(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'a', sizeof(text));
    assert_true(pattern_matches(PATTERN_DNS_LABEL, text_of(text, 63)));
    assert_false(pattern_matches(PATTERN_DNS_LABEL, text_of(text, 64)));
    assert_true(pattern_matches(PATTERN_DNS_SUBDOMAIN, text_of(text, 253)));
    assert_false(pattern_matches(PATTERN_DNS_SUBDOMAIN, text_of(text, 254)));
    assert_true(pattern_matches(PATTERN_LABEL_VALUE, text_of(text, 63)));
    assert_false(pattern_matches(PATTERN_LABEL_VALUE, text_of(text, 64)));
    assert_true(pattern_matches(PATTERN_PORT_NAME, text_of(text, 15)));
    assert_false(pattern_matches(PATTERN_PORT_NAME, text_of(text, 16)));
}

static void reads_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "10s", 10000 },    { "500ms", 500 },   { "1h30m", 5400000 }, { "0s", 0 },
        { "1m1ms", 60001 },  { "99999h", 359996400000 },
        { "1h2m3s4ms", 3723004 },
        { "", -1 },          { "10", -1 },       { "s", -1 },          { "-1s", -1 },
        { "1.5s", -1 },      { "100000s", -1 },  { "1s1s1s1s1s", -1 }, { "1d", -1 },
        { "1us", -1 },       { "1 s", -1 },      { "1S", -1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        bool good = duration_parse(text_from_string(cases[i].text), &ms);
        assert_int_equal(good, cases[i].ms >= 0);
        if (good) {
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

static void measures_distance(void **state)
{
    (void)state;
    assert_int_equal(text_distance(TEXT("backendRef"), TEXT("backendRefs"), 3), 1);
    assert_int_equal(text_distance(TEXT("hsotnames"), TEXT("hostnames"), 3), 1);
    assert_int_equal(text_distance(TEXT("PATHPREFIX"), TEXT("PathPrefix"), 3), 0);
    assert_int_equal(text_distance(TEXT(""), TEXT("ab"), 3), 2);
    assert_int_equal(text_distance(TEXT("spec"), TEXT("status"), 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_patterns),
        cmocka_unit_test(limits_lengths),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(measures_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
