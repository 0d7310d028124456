/* Text exposition 0.0.4. A histogram has 17 lines with the same labels: they are escaped once and
 * copied. */
#include "observe/prometheus.h"

#define NUMBER_MAX 24 /* digits, sign and fraction of any value */

/* As OpenTelemetry's advice spells the bounds of metric_bounds_ns. */
static const char *const bound_names[METRIC_BOUNDS + 1] = { "0.005", "0.01", "0.025", "0.05",
                                                            "0.075", "0.1",  "0.25",  "0.5",
                                                            "0.75",  "1",    "2.5",   "5",
                                                            "7.5",   "10",   "+Inf" };

struct writer {
    struct buffer *out;
    struct buffer labels; /* of the series being written: a="b",c="d" */
};

static void put(struct buffer *out, const char *string)
{
    buffer_append(out, text_from_string(string));
}

/* HELP text and label values: backslash, line feed and (in values) quote. */
static void put_escaped(struct buffer *out, struct text t, bool is_value)
{
    bool is_utf8 = text_is_utf8(t);
    for (size_t i = 0; i < t.size; i++) {
        char byte = t.at[i];
        if (byte == '\\' || (byte == '"' && is_value)) {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, byte);
        } else if (byte == '\n') {
            buffer_append(out, TEXT("\\n"));
        } else if ((unsigned char)byte >= 0x80 && !is_utf8) {
            buffer_append(out, TEXT("\xef\xbf\xbd"));
        } else {
            buffer_append_byte(out, byte);
        }
    }
}

static void put_u64(struct buffer *out, uint64_t value)
{
    char digits[NUMBER_MAX], *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buffer_append(out, text_of(at, (size_t)(digits + sizeof(digits) - at)));
}

static void put_i64(struct buffer *out, int64_t value)
{
    if (value < 0) {
        buffer_append_byte(out, '-');
    }
    put_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Seconds without trailing zeros. */
static void put_seconds(struct buffer *out, uint64_t ns)
{
    put_u64(out, ns / 1000000000);
    char fraction[10] = ".";
    size_t size = 0;
    uint64_t rest = ns % 1000000000;
    for (uint64_t scale = 100000000; rest > 0; scale /= 10) {
        fraction[++size] = (char)('0' + rest / scale);
        rest %= scale;
    }
    buffer_append(out, text_of(fraction, size > 0 ? size + 1 : 0));
}

static void on_family(void *owner, const struct metric_definition *definition, unsigned labels)
{
    static const char *const kinds[] = { [METRIC_COUNTER] = "counter",
                                         [METRIC_GAUGE] = "gauge",
                                         [METRIC_HISTOGRAM] = "histogram",
                                         [METRIC_COUNTER_NS] = "counter" };
    struct buffer *out = ((struct writer *)owner)->out;
    put(out, "# HELP ");
    put(out, definition->name);
    buffer_append_byte(out, ' ');
    put_escaped(out, text_from_string(definition->help), false);
    put(out, "\n# TYPE ");
    put(out, definition->name);
    buffer_append_byte(out, ' ');
    put(out, kinds[definition->kind]);
    buffer_append_byte(out, '\n');
}

static void make_labels(struct buffer *out, const struct metric_definition *definition,
                        unsigned labels, const struct text *values)
{
    buffer_clear(out);
    for (unsigned i = 0; i < labels; i++) {
        if (i > 0) {
            buffer_append_byte(out, ',');
        }
        put(out, definition->labels[i]);
        put(out, "=\"");
        put_escaped(out, values[i], true);
        buffer_append_byte(out, '"');
    }
}

/* "name_suffix{labels} " */
static void put_series(struct writer *writer, const char *name, const char *suffix)
{
    put(writer->out, name);
    put(writer->out, suffix);
    if (writer->labels.size > 0) {
        buffer_append_byte(writer->out, '{');
        buffer_append(writer->out, buffer_text(&writer->labels));
        buffer_append_byte(writer->out, '}');
    }
    buffer_append_byte(writer->out, ' ');
}

static void put_histogram(struct writer *writer, const char *name,
                          const struct metric_sample *sample)
{
    struct buffer *out = writer->out;
    uint64_t count = 0;
    for (unsigned i = 0; i <= METRIC_BOUNDS; i++) {
        count += sample->counts[i];
        put(out, name);
        put(out, "_bucket{");
        buffer_append(out, buffer_text(&writer->labels));
        put(out, writer->labels.size > 0 ? ",le=\"" : "le=\"");
        put(out, bound_names[i]);
        put(out, "\"} ");
        put_u64(out, count);
        buffer_append_byte(out, '\n');
    }
    put_series(writer, name, "_sum");
    put_seconds(out, sample->sum_ns);
    buffer_append_byte(out, '\n');
    put_series(writer, name, "_count");
    put_u64(out, count);
    buffer_append_byte(out, '\n');
}

static void on_sample(void *owner, const struct metric_definition *definition, unsigned labels,
                      const struct metric_sample *sample)
{
    struct writer *writer = owner;
    make_labels(&writer->labels, definition, labels, sample->values);
    if (definition->kind == METRIC_HISTOGRAM) {
        put_histogram(writer, definition->name, sample);
        return;
    }
    put_series(writer, definition->name, "");
    if (definition->kind == METRIC_COUNTER) {
        put_u64(writer->out, (uint64_t)sample->value);
    } else if (definition->kind == METRIC_COUNTER_NS) {
        put_seconds(writer->out, (uint64_t)sample->value);
    } else {
        put_i64(writer->out, sample->value);
    }
    buffer_append_byte(writer->out, '\n');
}

void prometheus_format(struct metrics *metrics, struct buffer *out)
{
    struct writer writer = { .out = out };
    buffer_init(&writer.labels);
    struct metric_visitor visitor = { on_family, on_sample, &writer };
    metrics_read(metrics, &visitor);
    buffer_fini(&writer.labels);
}
