/* JSON output (RFC 8259). Text is first copied in blocks while they are looked through; only where
 * they hold something to escape is it done again, byte by byte. */
#include "base/json_writer.h"

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Bytes an escape or replacement takes at most. */
#define ESCAPE_MAX 6

void json_writer_init(struct json_writer *writer, char *bytes, size_t size)
{
    *writer = (struct json_writer){ .at = bytes, .start = bytes, .end = bytes + size };
}

void json_writer_init_buffer(struct json_writer *writer, struct buffer *buffer)
{
    char *at = buffer_reserve(buffer, 64);
    *writer = (struct json_writer){
        .at = at, .start = at, .end = buffer->bytes + buffer->capacity, .buffer = buffer
    };
}

size_t json_writer_finish(struct json_writer *writer)
{
    if (writer->overflow) {
        return 0;
    }
    size_t size = (size_t)(writer->at - writer->start);
    if (writer->buffer) {
        writer->buffer->size += size;
        writer->start = writer->at;
    }
    return size;
}

static bool grow(struct json_writer *writer, size_t more)
{
    if (!writer->buffer) {
        writer->overflow = true;
        writer->end = writer->at; /* so that nothing shorter gets in behind the gap */
        return false;
    }
    size_t written = (size_t)(writer->at - writer->start);
    char *at = buffer_reserve(writer->buffer, written + more);
    writer->start = at;
    writer->at = at + written;
    writer->end = writer->buffer->bytes + writer->buffer->capacity;
    return true;
}

static inline bool has_room(struct json_writer *writer, size_t more)
{
    return (size_t)(writer->end - writer->at) >= more || grow(writer, more);
}

static void put(struct json_writer *writer, struct text t)
{
    if (t.size > 0 && has_room(writer, t.size)) {
        memcpy(writer->at, t.at, t.size);
        writer->at += t.size;
    }
}

void json_byte(struct json_writer *writer, char byte)
{
    if (has_room(writer, 1)) {
        *writer->at++ = byte;
    }
}

static void begin_value(struct json_writer *writer)
{
    if (writer->comma) {
        json_byte(writer, ',');
    }
    writer->comma = true;
}

static void open_container(struct json_writer *writer, char byte)
{
    begin_value(writer);
    json_byte(writer, byte);
    writer->comma = false;
}

static void close_container(struct json_writer *writer, char byte)
{
    json_byte(writer, byte);
    writer->comma = true;
}

void json_object_open(struct json_writer *writer)
{
    open_container(writer, '{');
}

void json_object_close(struct json_writer *writer)
{
    close_container(writer, '}');
}

void json_array_open(struct json_writer *writer)
{
    open_container(writer, '[');
}

void json_array_close(struct json_writer *writer)
{
    close_container(writer, ']');
}

void json_key_slow(struct json_writer *writer, struct text quoted)
{
    begin_value(writer);
    put(writer, quoted);
    writer->comma = false;
}

void json_key(struct json_writer *writer, struct text key)
{
    json_text(writer, key);
    json_byte(writer, ':');
    writer->comma = false;
}

/* Nonzero where a byte of the word is a control, DEL, '"', '\\' or not ASCII. */
static inline uint64_t special_in(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"');
    uint64_t backslash = word ^ (ONES * '\\');
    uint64_t low = (word - ONES * 0x20) & ~word;
    return (low | ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash) | word |
            (word + ONES)) &
           HIGHS;
}

static inline uint64_t load(const char *at, size_t size)
{
    uint64_t word = ONES * ' ';
    memcpy(&word, at, size);
    return word;
}

/* Copies text of at most 8 bytes when it is plain. The constant sizes make moves of the copies. */
static inline bool copy_plain_short(char *to, const char *from, size_t size)
{
    if (size >= 4) {
        uint64_t first = load(from, 4), last = load(from + size - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + size - 4, &last, 4);
        return special_in(first) == 0 && special_in(last) == 0;
    }
    if (size >= 2) {
        uint64_t first = load(from, 2), last = load(from + size - 2, 2);
        memcpy(to, &first, 2);
        memcpy(to + size - 2, &last, 2);
        return special_in(first) == 0 && special_in(last) == 0;
    }
    if (size == 1) {
        *to = *from;
        return special_in(load(from, 1)) == 0;
    }
    return true;
}

/* Sixteen bytes at once where the machine can (gcc and clang lower it to eight where not). */
struct block {
    signed char bytes __attribute__((vector_size(16)));
};

/* Copies 16 bytes; adds to *special what special_in would find. */
static inline void copy_block(char *to, const char *from, struct block *special)
{
    struct block block;
    memcpy(&block, from, sizeof(block));
    memcpy(to, &block, sizeof(block));
    special->bytes |= (block.bytes < 0x20) /* signed: not ASCII too */ | (block.bytes == '"') |
                      (block.bytes == '\\') | (block.bytes == 0x7f);
}

/* Copies whole text, plain or not; whether it is plain. */
static inline bool copy_plain(char *to, const char *from, size_t size)
{
    if (size < 8) {
        return copy_plain_short(to, from, size);
    }
    if (size < 16) {
        uint64_t first = load(from, 8), last = load(from + size - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + size - 8, &last, 8);
        return (special_in(first) | special_in(last)) == 0;
    }
    struct block special = { { 0 } };
    for (size_t i = 0; i + 16 < size; i += 16) {
        copy_block(to + i, from + i, &special);
    }
    copy_block(to + size - 16, from + size - 16, &special);
    uint64_t halves[2];
    memcpy(halves, &special, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

static inline bool is_continuation(struct text t, size_t i)
{
    return i < t.size && ((unsigned char)t.at[i] & 0xc0) == 0x80;
}

/* Length of the valid sequence (RFC 3629) the text begins with, 0 where there is none. */
static size_t sequence_size(struct text t)
{
    unsigned char first = (unsigned char)t.at[0];
    if (first < 0xc2 || first > 0xf4 || !is_continuation(t, 1)) {
        return 0;
    }
    if (first < 0xe0) {
        return 2;
    }
    unsigned char second = (unsigned char)t.at[1];
    if (!is_continuation(t, 2)) {
        return 0;
    }
    if (first < 0xf0) {
        bool overlong = first == 0xe0 && second < 0xa0;
        bool surrogate = first == 0xed && second >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = first == 0xf0 && second < 0x90;
    bool beyond = first == 0xf4 && second >= 0x90;
    return overlong || beyond || !is_continuation(t, 3) ? 0 : 4;
}

static size_t put_unicode(char *to, unsigned code)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(to, "\\u", 2);
    for (int i = 0; i < 4; i++) {
        to[2 + i] = digits[(code >> (12 - 4 * i)) & 15];
    }
    return 6;
}

static size_t put_ascii_escape(char *to, unsigned char byte)
{
    static const char shorts[256] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                      ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\' };
    if (shorts[byte]) {
        to[0] = '\\';
        to[1] = shorts[byte];
        return 2;
    }
    return put_unicode(to, byte);
}

/* Writes one character of the text, at most ESCAPE_MAX bytes; returns how many bytes it took. */
static size_t put_character(char **to, struct text t)
{
    unsigned char byte = (unsigned char)t.at[0];
    if (byte < 0x80) {
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) {
            *(*to)++ = (char)byte;
        } else {
            *to += put_ascii_escape(*to, byte);
        }
        return 1;
    }
    size_t size = sequence_size(t);
    if (size == 0) {
        memcpy(*to, "\xef\xbf\xbd", 3);
        *to += 3;
        return 1;
    }
    unsigned char second = (unsigned char)t.at[1];
    unsigned char third = size > 2 ? (unsigned char)t.at[2] : 0;
    if (byte == 0xc2 && second < 0xa0) {
        *to += put_unicode(*to, second);
    } else if (byte == 0xe2 && second == 0x80 && (third == 0xa8 || third == 0xa9)) {
        *to += put_unicode(*to, 0x2000u | (third & 0x3fu));
    } else {
        memcpy(*to, t.at, size);
        *to += size;
    }
    return size;
}

static void put_escaped(struct json_writer *writer, struct text value)
{
    while (value.size > 0) {
        if (!has_room(writer, ESCAPE_MAX)) {
            return;
        }
        value = text_from(value, put_character(&writer->at, value));
    }
}

/* The place is kept in a register: a store through a char pointer may alias the writer itself. */
void json_text(struct json_writer *writer, struct text value)
{
    if (!has_room(writer, value.size + 3)) {
        return;
    }
    char *at = writer->at;
    if (writer->comma) {
        *at++ = ',';
    }
    writer->comma = true;
    *at++ = '"';
    if (copy_plain(at, value.at, value.size)) {
        at[value.size] = '"';
        writer->at = at + value.size + 1;
        return;
    }
    writer->at = at;
    put_escaped(writer, value);
    json_byte(writer, '"');
}

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536"
    "37383940414243444546474849505152535455565758596061626364656667686970717273"
    "7475767778798081828384858687888990919293949596979899";

/* Bytes any number takes at most, with sign, fraction and comma. */
#define NUMBER_MAX 32

static inline unsigned digit_count(uint64_t value)
{
    unsigned count = 1;
    for (; value >= 10000; value /= 10000) {
        count += 4;
    }
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

static inline char *put_digits(char *to, uint64_t value)
{
    char *end = to + digit_count(value), *at = end;
    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(at - 2, pairs + value * 2, 2);
    } else {
        at[-1] = (char)('0' + value);
    }
    return end;
}

/* Numbers are written at once where there is plenty of room, else in a place of their own first. */
struct number {
    char bytes[NUMBER_MAX];
    bool direct;
};

static inline char *number_begin(struct json_writer *writer, struct number *number)
{
    number->direct = (size_t)(writer->end - writer->at) >= NUMBER_MAX;
    if (!number->direct) {
        begin_value(writer);
        return number->bytes;
    }
    char *at = writer->at;
    if (writer->comma) {
        *at++ = ',';
    }
    writer->comma = true;
    return at;
}

static inline void number_end(struct json_writer *writer, struct number *number, char *end)
{
    if (number->direct) {
        writer->at = end;
    } else {
        put(writer, text_of(number->bytes, (size_t)(end - number->bytes)));
    }
}

void json_u64(struct json_writer *writer, uint64_t value)
{
    struct number number;
    char *to = number_begin(writer, &number);
    number_end(writer, &number, put_digits(to, value));
}

void json_i64(struct json_writer *writer, int64_t value)
{
    struct number number;
    char *to = number_begin(writer, &number);
    if (value < 0) {
        *to++ = '-';
    }
    to = put_digits(to, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    number_end(writer, &number, to);
}

void json_ms(struct json_writer *writer, uint64_t us)
{
    struct number number;
    char *to = put_digits(number_begin(writer, &number), us / 1000);
    unsigned fraction = (unsigned)(us % 1000);
    to[0] = '.';
    to[1] = (char)('0' + fraction / 100);
    memcpy(to + 2, pairs + fraction % 100 * 2, 2);
    number_end(writer, &number, to + 4);
}

void json_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    put(writer, value ? TEXT("true") : TEXT("false"));
}

void json_null(struct json_writer *writer)
{
    begin_value(writer);
    put(writer, TEXT("null"));
}

void json_raw(struct json_writer *writer, struct text value)
{
    begin_value(writer);
    put(writer, value);
}
