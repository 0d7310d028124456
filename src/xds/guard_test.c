/* The guard: everything protobuf-c would take that Weft must not. Bytes are written by hand. */
#include "xds/guard.h"

#include "base/buffer.h"
#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/struct.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUTES  &envoy__config__route__v3__route_configuration__descriptor
#define ADDRESS &envoy__config__core__v3__socket_address__descriptor
#define VALUE   &google__protobuf__value__descriptor
#define ANY     &google__protobuf__any__descriptor
#define DIRECT  &envoy__config__route__v3__retry_policy__descriptor

/* TEXT for static tables. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

struct check {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    struct text bytes;
    const char *error; /* a part of it; NULL: passes */
};

static const struct check checks[] = {
    { "empty", ROUTES, { NULL, 0 }, NULL },
    { "a name", ROUTES, BYTES("\x0a\x01r"), NULL },
    { "nested", ROUTES, BYTES("\x12\x03\x0a\x01v"), NULL },
    { "utf-8", ROUTES, BYTES("\x0a\x02\xc3\xa9"), NULL },
    { "unknown fields of every wire type", ROUTES,
      BYTES("\xf8\x06\x01"                             /* 111: varint */
            "\xf9\x06\x01\x02\x03\x04\x05\x06\x07\x08" /* 111: 64 bits */
            "\xfa\x06\x02\xff\x00"                     /* 111: bytes, unchecked */
            "\xfd\x06\x01\x02\x03\x04"),               /* 111: 32 bits */
      NULL },
    { "ten-byte varint", DIRECT, BYTES("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL },
    { "packed numbers", DIRECT, BYTES("\x3a\x03\xf7\x03\x01"), NULL },
    { "unpacked numbers", DIRECT, BYTES("\x38\x01\x38\x02"), NULL },
    { "unknown any is opaque", ANY,
      BYTES("\x0a\x03"
            "a/b\x12\x02\xff\xff"),
      NULL },
    { "known any", ANY,
      BYTES("\x0a\x1c"
            "a.b/google.protobuf.Duration\x12\x02\x08\x01"),
      NULL },

    { "NUL", ROUTES, BYTES("\x0a\x02r\0"), "name: a NUL byte" },
    { "invalid UTF-8", ROUTES, BYTES("\x0a\x01\xff"), "name: not valid UTF-8" },
    { "overlong UTF-8", ROUTES, BYTES("\x0a\x02\xc0\x80"), "name: not valid UTF-8" },
    { "path with index", ROUTES, BYTES("\x12\x00\x12\x07\x0a\x01v\x12\x02\x61\xff"),
      "RouteConfiguration: virtual_hosts[1].domains[0]: not valid UTF-8" },
    { "cut off after tag", ROUTES, BYTES("\x0a"), "name: cut off" },
    { "cut off in string", ROUTES,
      BYTES("\x0a\x05"
            "abc"),
      "name: cut off" },
    { "cut off in nested", ROUTES, BYTES("\x12\x02\x0a\x05"), "virtual_hosts[0].name: cut off" },
    { "cut off varint", DIRECT, BYTES("\x30\xff"), "cut off" },
    { "cut off tag", ROUTES, BYTES("\xff"), "tag is cut off" },
    { "cut off 64 bits", ROUTES, BYTES("\xf9\x06\x01"), "cut off" },
    { "eleven-byte varint", DIRECT, BYTES("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
      "malformed number" },
    { "varint above 64 bits", DIRECT, BYTES("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
      "malformed number" },
    { "overlong length", ROUTES,
      BYTES("\x0a\x81\x80\x80\x80\x80\x00"
            "a"),
      "malformed" },
    { "huge length", ROUTES, BYTES("\x0a\xff\xff\xff\xff\x0f"), "cut off" },
    { "overlong tag", ROUTES, BYTES("\x8a\x80\x80\x80\x80\x00\x00"), "tag is cut off or too long" },
    { "field number 0", ROUTES, BYTES("\x00\x01"), "field number" },
    { "field number too large", ROUTES, BYTES("\xf8\xff\xff\xff\x7f\x01"), "field number" },
    { "group start", ROUTES, BYTES("\x0b"), "group" },
    { "group end", ROUTES, BYTES("\x0c"), "group" },
    { "unknown group", ROUTES, BYTES("\xfb\x06\xfc\x06"), "group" },
    { "wire type 6", ROUTES, BYTES("\x0e"), "wire type" },
    { "wire type 7", ROUTES, BYTES("\x0f"), "wire type" },
    { "string as varint", ROUTES, BYTES("\x08\x01"), "name: encoded as another type" },
    { "message as varint", ROUTES, BYTES("\x10\x01"), "virtual_hosts[0]: encoded as another type" },
    { "number as bytes", ADDRESS, BYTES("\x1a\x01\x01"), "port_value: encoded as another type" },
    { "packed cut off", DIRECT, BYTES("\x3a\x02\x01\xff"), "packed" },
    { "set twice", ROUTES,
      BYTES("\x0a\x01"
            "a\x0a\x01"
            "b"),
      "name: set twice" },
    { "inside a known any", ANY,
      BYTES("\x12\x02\x08\xff\x0a\x1c"
            "a.b/google.protobuf.Duration"),
      "seconds: cut off" },
};

static void checks_each_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const struct check *check = &checks[i];
        struct error error = { "" };
        bool good = guard_check(check->descriptor, check->bytes, GUARD_INTO_ANY, &error);
        if (good != !check->error || (check->error && !strstr(error.text, check->error)))
            fail_msg("%s: %s: %s", check->name, good ? "passed" : "refused", error.text);
    }
}

/* Every prefix of a good message is read without touching a byte behind it (ASan watches). */
static void reads_no_further_than_the_end(void **state)
{
    (void)state;
    const struct text whole = TEXT("\x0a\x02\xc3\xa9\x12\x0a\x0a\x01v\x12\x05"
                                   "a.com\xf9\x06\x01\x02\x03\x04\x05\x06\x07\x08");
    for (size_t size = 0; size <= whole.size; size++) {
        char *copy = malloc(size ? size : 1);
        memcpy(copy, whole.at, size);
        struct error error;
        bool good = guard_check(ROUTES, text_of(copy, size), GUARD_INTO_ANY, &error);
        assert_int_equal(good, size == 0 || size == 4 || size == 16 || size == whole.size);
        free(copy);
    }
}

/* Value{list_value{values{...}}} `levels` deep: two messages a level, innermost first. */
static void write_lists(struct buffer *out, unsigned levels)
{
    char *reversed = malloc((size_t)levels * 16 + 16);
    size_t size = 0;
    for (unsigned message = 0; message < levels; message++) {
        size_t length = size;
        char head[8];
        size_t head_size = 0;
        head[head_size++] = message % 2 ? 0x32 : 0x0a; /* list_value = 6, values = 1 */
        for (; length >= 0x80; length >>= 7)
            head[head_size++] = (char)(length | 0x80);
        head[head_size++] = (char)length;
        while (head_size > 0)
            reversed[size++] = head[--head_size];
    }
    while (size > 0)
        buffer_append_byte(out, reversed[--size]);
    free(reversed);
}

static void refuses_deep_nesting(void **state)
{
    (void)state;
    static const struct {
        unsigned inner; /* messages inside the root */
        bool good;
    } depths[] = { { 2, true }, { 62, true }, { 64, false }, { 10000, false }, { 100000, false } };
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        struct buffer bytes;
        buffer_init(&bytes);
        write_lists(&bytes, depths[i].inner);
        struct error error = { "" };
        bool good = guard_check(VALUE, buffer_text(&bytes), GUARD_INTO_ANY, &error);
        assert_int_equal(good, depths[i].good);
        if (!good)
            assert_non_null(strstr(error.text, "nested deeper than 64"));
        buffer_fini(&bytes);
    }
}

static void append_any(struct buffer *out, struct text type_url, struct text value)
{
    buffer_append_byte(out, 0x0a);
    buffer_append_byte(out, (char)type_url.size);
    buffer_append(out, type_url);
    buffer_append_byte(out, 0x12);
    size_t length = value.size;
    for (; length >= 0x80; length >>= 7)
        buffer_append_byte(out, (char)(length | 0x80));
    buffer_append_byte(out, (char)length);
    buffer_append(out, value);
}

static void counts_depth_through_any(void **state)
{
    (void)state;
    for (unsigned levels = 62; levels <= 66; levels++) {
        struct buffer bytes, outer;
        buffer_init(&bytes);
        for (unsigned i = 1; i < levels; i++) {
            buffer_init(&outer);
            append_any(&outer, TEXT("t/google.protobuf.Any"), buffer_text(&bytes));
            buffer_fini(&bytes);
            bytes = outer;
        }
        struct error error = { "" };
        bool good = guard_check(ANY, buffer_text(&bytes), GUARD_INTO_ANY, &error);
        assert_int_equal(good, levels <= 64);
        assert_true(guard_check(ANY, buffer_text(&bytes), GUARD_OPAQUE, &error));
        buffer_fini(&bytes);
    }
}

static void refuses_size_and_amplification(void **state)
{
    (void)state;
    size_t size = GUARD_BYTES_MAX + 1;
    char *bytes = calloc(1, size);
    struct error error = { "" };
    assert_false(guard_check(ROUTES, text_of(bytes, size), GUARD_INTO_ANY, &error));
    assert_non_null(strstr(error.text, "32 MiB"));
    /* Empty virtual hosts: two bytes on the wire, hundreds decoded. */
    for (size_t i = 0; i + 1 < GUARD_BYTES_MAX; i += 2)
        bytes[i] = 0x12;
    assert_false(guard_check(ROUTES, text_of(bytes, GUARD_BYTES_MAX), GUARD_INTO_ANY, &error));
    assert_non_null(strstr(error.text, "512 MiB"));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_each_case),
        cmocka_unit_test(reads_no_further_than_the_end),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(counts_depth_through_any),
        cmocka_unit_test(refuses_size_and_amplification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
