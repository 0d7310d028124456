/* Matchers for the shapes of texts. */
#include "control/pattern.h"

#include <arpa/inet.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(text_lower_byte(c));
}

static bool is_alphanumeric(char c)
{
    return is_letter(c) || is_digit(c);
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_dns_label(struct text t, size_t max)
{
    if (t.size == 0 || t.size > max || t.at[0] == '-' || t.at[t.size - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < t.size; i++) {
        if (!is_lower(t.at[i]) && !is_digit(t.at[i]) && t.at[i] != '-') {
            return false;
        }
    }
    return true;
}

/* The labels' own length is not limited by the API. */
static bool is_subdomain(struct text t)
{
    struct text label;
    if (t.size == 0 || t.size > 253) {
        return false;
    }
    while (text_split(&t, '.', &label)) {
        if (!is_dns_label(label, 253)) {
            return false;
        }
    }
    return true;
}

bool text_is_ip_address(struct text t)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (t.size == 0 || t.size >= sizeof(text)) {
        return false;
    }
    memcpy(text, t.at, t.size);
    text[t.size] = '\0';
    return strlen(text) == t.size &&
           (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1);
}

static bool is_hostname(struct text t, bool wildcard)
{
    if (t.size > 253 || text_is_ip_address(t)) {
        return false;
    }
    return is_subdomain(wildcard && text_starts_with(t, TEXT("*.")) ? text_from(t, 2) : t);
}

/* first: letters [digits] and then letters, digits and `inner`, ending in a letter or digit. */
static bool is_word(struct text t, const char *inner, bool letter_first)
{
    if (t.size == 0 || !is_alphanumeric(t.at[0]) || !is_alphanumeric(t.at[t.size - 1]) ||
        (letter_first && !is_letter(t.at[0]))) {
        return false;
    }
    for (size_t i = 0; i < t.size; i++) {
        if (!is_alphanumeric(t.at[i]) && !is_one_of(t.at[i], inner)) {
            return false;
        }
    }
    return true;
}

static bool all_in(struct text t, const char *others)
{
    for (size_t i = 0; i < t.size; i++) {
        if (!is_alphanumeric(t.at[i]) && !is_one_of(t.at[i], others)) {
            return false;
        }
    }
    return t.size > 0;
}

static bool is_header_value(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        bool inside = i > 0 && i + 1 < t.size;
        bool visible = t.at[i] >= '!' && t.at[i] <= '~';
        if (!visible && !(inside && (t.at[i] == ' ' || t.at[i] == '\t'))) {
            return false;
        }
    }
    return t.size > 0;
}

static bool is_hex(char c)
{
    return is_digit(c) || (text_lower_byte(c) >= 'a' && text_lower_byte(c) <= 'f');
}

static bool is_uri_path(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        if (t.at[i] == '%') {
            if (i + 2 >= t.size || !is_hex(t.at[i + 1]) || !is_hex(t.at[i + 2])) {
                return false;
            }
            i += 2;
        } else if (!is_alphanumeric(t.at[i]) && !is_one_of(t.at[i], "-/._~!$&'()*+,;=:@")) {
            return false;
        }
    }
    return t.size > 0;
}

static bool is_cors_origin(struct text t)
{
    if (text_equal(t, TEXT("*"))) {
        return true;
    }
    size_t scheme = text_find(t, TEXT("://"));
    struct text name = text_first(t, scheme);
    if (!text_equal(name, TEXT("http")) && !text_equal(name, TEXT("https"))) {
        return false;
    }
    struct text host = text_from(t, scheme + 3);
    size_t colon = text_find_byte(host, ':');
    if (colon < host.size) {
        uint64_t port;
        if (host.size - colon > 6 || !text_parse_u64(text_from(host, colon + 1), 99999, &port)) {
            return false;
        }
        host = text_first(host, colon);
    }
    if (text_equal(host, TEXT("*"))) {
        return true;
    }
    host = text_starts_with(host, TEXT("*.")) ? text_from(host, 2) : host;
    struct text label;
    while (text_split(&host, '.', &label)) {
        if (!all_in(label, "-")) {
            return false;
        }
    }
    return true;
}

static bool is_prefixed_path(struct text t, const char *others)
{
    size_t slash = text_find_byte(t, '/');
    return slash < t.size && is_subdomain(text_first(t, slash)) &&
           all_in(text_from(t, slash + 1), others);
}

static bool is_qualified_name(struct text t)
{
    size_t slash = text_find_byte(t, '/');
    if (slash < t.size) {
        if (!is_subdomain(text_first(t, slash))) {
            return false;
        }
        t = text_from(t, slash + 1);
    }
    return t.size <= 63 && is_word(t, "-_.", false);
}

static bool is_address_type(struct text t)
{
    return text_equal(t, TEXT("IPAddress")) || text_equal(t, TEXT("Hostname")) ||
           text_equal(t, TEXT("NamedAddress")) || is_prefixed_path(t, "/-._~%!$&'()*+,;=:");
}

static bool is_absolute_uri(struct text t)
{
    size_t colon = text_find(t, TEXT("://"));
    for (size_t i = 0; i < colon; i++) {
        if (is_one_of(t.at[i], ":/?#")) {
            return false;
        }
    }
    return colon > 0 && colon < t.size;
}

static bool is_routability(struct text t)
{
    struct text domain = text_first(t, text_find_byte(t, '/'));
    if (t.size == 0 || text_equal(t, TEXT("Cluster"))) {
        return true;
    }
    return domain.size + 1 < t.size && is_subdomain(domain) &&
           !text_equal(domain, TEXT("k8s.io")) && !text_ends_with(domain, TEXT(".k8s.io"));
}

static bool is_port_name(struct text t)
{
    bool letter = false;
    for (size_t i = 0; i < t.size; i++) {
        letter = letter || is_lower(t.at[i]);
    }
    return letter && is_dns_label(t, 15) && text_find(t, TEXT("--")) == t.size;
}

bool pattern_matches(enum pattern pattern, struct text t)
{
    switch (pattern) {
    case PATTERN_ANY:
        return true;
    case PATTERN_DNS_LABEL:
        return is_dns_label(t, 63);
    case PATTERN_DNS_SUBDOMAIN:
        return is_subdomain(t);
    case PATTERN_HOSTNAME:
        return is_hostname(t, true);
    case PATTERN_PRECISE_HOSTNAME:
        return is_hostname(t, false);
    case PATTERN_GROUP:
        return t.size == 0 || is_subdomain(t);
    case PATTERN_KIND:
        return t.size <= 63 && is_word(t, "-", true);
    case PATTERN_HEADER_NAME:
        return all_in(t, "!#$%&'*+-.^_`|~");
    case PATTERN_HEADER_VALUE:
        return is_header_value(t);
    case PATTERN_URI_PATH:
        return is_uri_path(t);
    case PATTERN_CORS_ORIGIN:
        return is_cors_origin(t);
    case PATTERN_PREFIXED_PATH:
        return is_prefixed_path(t, "/-._~%!$&'()*+,;=:");
    case PATTERN_ADDRESS_TYPE:
        return is_address_type(t);
    case PATTERN_PROTOCOL:
        return is_word(t, "-", false) || is_prefixed_path(t, "");
    case PATTERN_ABSOLUTE_URI:
        return is_absolute_uri(t);
    case PATTERN_LABEL_KEY:
        return is_qualified_name(t);
    case PATTERN_LABEL_VALUE:
        return t.size == 0 || (t.size <= 63 && is_word(t, "-_.", false));
    case PATTERN_WELL_KNOWN_CA:
        return text_equal(t, TEXT("System")) ||
               (text_find_byte(t, '/') < t.size && is_qualified_name(t));
    case PATTERN_ROUTABILITY:
        return is_routability(t);
    case PATTERN_PORT_NAME:
        return is_port_name(t);
    case PATTERN_DATA_KEY:
        return t.size <= 253 && all_in(t, "-._") && !text_equal(t, TEXT(".")) &&
               !text_starts_with(t, TEXT(".."));
    case PATTERN_IP_ADDRESS:
        return text_is_ip_address(t);
    }
    return false;
}

const char *pattern_words(enum pattern pattern)
{
    static const char *const words[] = {
        [PATTERN_ANY] = "any text",
        [PATTERN_DNS_LABEL] = "lower-case letters, digits and '-' inside, at most 63",
        [PATTERN_DNS_SUBDOMAIN] = "lower-case letters, digits, '-' and '.', like \"shop.v2\"",
        [PATTERN_HOSTNAME] = "a lower-case host name like \"shop.example\" or \"*.shop.example\"; "
                             "no port, no IP address",
        [PATTERN_PRECISE_HOSTNAME] = "a lower-case host name like \"shop.example\"; no wildcard, "
                                     "no port, no IP address",
        [PATTERN_GROUP] = "an API group like \"gateway.networking.k8s.io\", or \"\" for core",
        [PATTERN_KIND] = "a kind like \"Service\"",
        [PATTERN_HEADER_NAME] = "a name of letters, digits and !#$%&'*+-.^_`|~",
        [PATTERN_HEADER_VALUE] = "printable ASCII with no blank at either end",
        [PATTERN_URI_PATH] = "characters a URI path may have; percent-encode others",
        [PATTERN_CORS_ORIGIN] = "\"*\" or an origin like \"https://*.shop.example:8443\"",
        [PATTERN_PREFIXED_PATH] = "a domain and a path like \"weft.dev/gateway-controller\"",
        [PATTERN_ADDRESS_TYPE] = "IPAddress, Hostname or a type like \"example.com/pool\"",
        [PATTERN_PROTOCOL] = "HTTP, HTTPS, TLS, TCP, UDP or one like \"example.com/quic\"",
        [PATTERN_ABSOLUTE_URI] = "a URI like \"spiffe://shop.example/ns/a/sa/b\"",
        [PATTERN_LABEL_KEY] = "a name like \"app\" or \"example.com/app\", at most 63 behind the "
                              "'/'",
        [PATTERN_LABEL_VALUE] = "letters, digits, '-', '_' and '.', at most 63",
        [PATTERN_WELL_KNOWN_CA] = "\"System\" or a name like \"example.com/bundle\"",
        [PATTERN_ROUTABILITY] = "\"\", \"Cluster\" or a name like \"example.com/public\"",
        [PATTERN_PORT_NAME] = "lower-case letters, digits and single '-', at most 15, like "
                              "\"http\"",
        [PATTERN_DATA_KEY] = "letters, digits, '-', '_' and '.'",
        [PATTERN_IP_ADDRESS] = "an IP address like \"127.0.0.2\" or \"fd00::2\"",
    };
    return words[pattern];
}

/* One number and its unit off the front. */
static bool duration_part(struct text *rest, int64_t *out_ms)
{
    int64_t value = 0;
    size_t digits = 0;
    while (digits < rest->size && is_digit(rest->at[digits])) {
        value = digits < 5 ? value * 10 + (rest->at[digits] - '0') : value;
        digits++;
    }
    struct text unit = text_from(*rest, digits);
    static const struct {
        struct text name;
        int64_t ms;
    } units[] = { { { "ms", 2 }, 1 }, { { "h", 1 }, 3600000 }, { { "m", 1 }, 60000 },
                  { { "s", 1 }, 1000 } };
    if (digits == 0 || digits > 5) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text_starts_with(unit, units[i].name)) {
            *rest = text_from(unit, units[i].name.size);
            *out_ms += value * units[i].ms;
            return true;
        }
    }
    return false;
}

bool duration_parse(struct text t, int64_t *out_ms)
{
    int64_t ms = 0;
    int parts = 0;
    for (; t.size > 0; parts++) {
        if (parts == 4 || !duration_part(&t, &ms)) {
            return false;
        }
    }
    *out_ms = ms;
    return parts > 0;
}

#define DISTANCE_MAX 64

unsigned text_distance(struct text a, struct text b, unsigned limit)
{
    unsigned rows[3][DISTANCE_MAX + 1];
    if (a.size > DISTANCE_MAX || b.size > DISTANCE_MAX) {
        return limit + 1;
    }
    unsigned *before_last = rows[0];
    unsigned *last = rows[1];
    unsigned *row = rows[2];
    for (size_t j = 0; j <= b.size; j++) {
        last[j] = (unsigned)j;
        before_last[j] = 0;
    }
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.size; j++) {
            char x = text_lower_byte(a.at[i - 1]);
            char y = text_lower_byte(b.at[j - 1]);
            unsigned best = last[j - 1] + (x != y);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && x == text_lower_byte(b.at[j - 2]) &&
                y == text_lower_byte(a.at[i - 2]) && before_last[j - 2] + 1 < best) {
                best = before_last[j - 2] + 1;
            }
            row[j] = best;
        }
        unsigned *free_row = before_last;
        before_last = last;
        last = row;
        row = free_row;
    }
    return last[b.size] <= limit ? last[b.size] : limit + 1;
}
