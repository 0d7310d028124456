/* Options: one table of names, kinds and meanings, from which parsing, help and `weft defaults`
 * come. */
#include "cli/options.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum option_kind {
    OPTION_FLAG, OPTION_U32, OPTION_U64, OPTION_STRING, OPTION_ADDRESS,
    OPTION_ADDRESS_LIST, OPTION_POOL, OPTION_PORT_MAP, OPTION_COUNT,
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
    uint64_t max;
    const char *help;
};

#define AT(member) offsetof(struct run_options, member)
#define MS(name, member, help)                                                                     \
    {                                                                                              \
        name, OPTION_U32, AT(member), 24u * 3600 * 1000, help " (ms, 0: none)"                     \
    }

static const struct option options_table[] = {
    { "--workers", OPTION_COUNT, AT(workers), WORKERS_MAX, "worker threads (0: as many as CPUs)" },
    { "--no-parent", OPTION_FLAG, AT(no_parent), 0, "run without the small parent process" },
    { "--address", OPTION_ADDRESS_LIST, 0, 0, "bind Gateways without addresses here (may repeat)" },
    { "--address-pool", OPTION_POOL, 0, 0, "addresses for Gateways that ask for any (may repeat)" },
    { "--address-per-gateway", OPTION_FLAG, AT(address_per_gateway), 0,
      "Gateways without addresses take one of the pool each" },
    { "--port-map", OPTION_PORT_MAP, 0, 0, "FROM:TO binds port TO for listeners of port FROM" },
    { "--external-names", OPTION_FLAG, AT(external_names), 0, "allow ExternalName Services" },
    { "--admin", OPTION_ADDRESS, AT(admin), 0, "read-only admin pages, or off" },
    { "--admin-socket", OPTION_STRING, AT(admin_socket), 0, "unix socket for all admin pages" },
    { "--metrics", OPTION_ADDRESS, AT(metrics), 0, "Prometheus metrics, or off" },
    { "--health", OPTION_ADDRESS, AT(health), 0, "/healthz and /readyz, or off" },
    { "--access-log", OPTION_STRING, AT(access_log), 0, "off, stdout or a file" },
    { "--log-level", OPTION_STRING, AT(log_level), 0, "debug, info, warn or error" },
    { "--log-json", OPTION_FLAG, AT(log_json), 0, "operator log as JSON" },
    MS("--drain-delay", drain_delay_ms, "keep accepting this long after SIGTERM"),
    MS("--drain-timeout", drain_timeout_ms, "wait this long for open requests"),
    { "--max-connections", OPTION_U32, AT(max_connections), 1000000, "in all (0: by descriptors)" },
    { "--max-connections-per-listener", OPTION_U32, AT(max_connections_per_listener), 1000000,
      "of one listener and worker (0: none)" },
    { "--max-requests-per-connection", OPTION_U32, AT(max_requests_per_connection), UINT32_MAX,
      "then the connection closes (0: none)" },
    { "--trusted-hops", OPTION_U32, AT(trusted_hops), 16,
      "proxies in front whose X-Forwarded-* count" },
    { "--max-body", OPTION_U64, AT(body_bytes), INT64_MAX, "bytes of a request's body (0: none)" },
    { "--max-request-line", OPTION_U32, AT(request_line_bytes), 65536, "bytes" },
    { "--max-header-bytes", OPTION_U32, AT(header_bytes), 65536, "bytes of a head" },
    { "--max-header-fields", OPTION_U32, AT(header_fields), 100, "fields of a head" },
    MS("--header-timeout", header_timeout_ms, "from a request's first byte to the end of its head"),
    MS("--body-timeout", body_timeout_ms, "grace before the minimum rate of 500 B/s holds"),
    MS("--idle-timeout", idle_timeout_ms, "between requests"),
    MS("--stream-idle-timeout", stream_idle_timeout_ms, "no byte either way during a request"),
    MS("--request-timeout", request_timeout_ms, "whole request, where its route says nothing"),
    MS("--connect-timeout", connect_timeout_ms, "connecting to an endpoint"),
    { "--merge-slashes", OPTION_FLAG, AT(merge_slashes), 0, "// in a path counts as /" },
    { "--encoded-slashes", OPTION_STRING, AT(encoded_slashes), 0, "keep or refuse %2F in paths" },
};

#define OPTION_TABLE_SIZE (sizeof(options_table) / sizeof(options_table[0]))

void run_options_defaults(struct run_options *options)
{
    *options = (struct run_options){
        .access_log = "off",
        .log_level = "info",
        .drain_delay_ms = 0,
        .drain_timeout_ms = 25000,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .stream_idle_timeout_ms = 300000,
        .connect_timeout_ms = 5000,
        .request_line_bytes = 8192,
        .header_bytes = 65536,
        .header_fields = 100,
    };
    address_parse(TEXT("127.0.0.1:15000"), &options->admin);
    address_parse(TEXT("127.0.0.1:15020"), &options->metrics);
    address_parse(TEXT("127.0.0.1:15021"), &options->health);
}

static bool parse_port_map(struct run_options *options, struct text value)
{
    struct text from;
    uint64_t a, b;
    if (options->port_map_count == OPTION_PORTS_MAX || !text_split(&value, ':', &from) ||
        !text_parse_u64(from, 65535, &a) || !text_parse_u64(value, 65535, &b) || a == 0 || b == 0) {
        return false;
    }
    options->port_map[options->port_map_count++] =
        (struct option_port_map){ (uint16_t)a, (uint16_t)b };
    return true;
}

static bool add_ip(struct text *list, unsigned *count, unsigned max, struct text value)
{
    struct address address;
    if (*count == max || !address_parse_ip(value, &address)) {
        return false;
    }
    list[(*count)++] = value;
    return true;
}

static bool parse_value(struct run_options *options, const struct option *option, char *string)
{
    char *at = (char *)options + option->offset;
    struct text value = text_from_string(string);
    uint64_t number;
    switch (option->kind) {
    case OPTION_U32:
    case OPTION_COUNT:
        if (!text_parse_u64(value, option->max, &number)) {
            return false;
        }
        *(uint32_t *)(void *)at = (uint32_t)number;
        return true;
    case OPTION_U64:
        return text_parse_u64(value, option->max, (uint64_t *)(void *)at);
    case OPTION_STRING:
        *(const char **)(void *)at = string;
        return value.size > 0;
    case OPTION_ADDRESS:
        if (text_equal(value, TEXT("off"))) {
            *(struct address *)(void *)at = (struct address){ 0 };
            return true;
        }
        return address_parse(value, (struct address *)(void *)at);
    case OPTION_ADDRESS_LIST:
        return add_ip(options->addresses, &options->address_count, OPTION_ADDRESSES_MAX, value);
    case OPTION_POOL:
        return add_ip(options->address_pool, &options->address_pool_count, 256, value);
    case OPTION_PORT_MAP:
        return parse_port_map(options, value);
    case OPTION_FLAG:
        break;
    }
    return false;
}

static const struct option *find_option(struct text name)
{
    for (size_t i = 0; i < OPTION_TABLE_SIZE; i++) {
        if (text_equal(name, text_from_string(options_table[i].name))) {
            return &options_table[i];
        }
    }
    return NULL;
}

/* One option at argv[*index]; a value may follow as the next word or behind '='. */
static bool parse_option(struct run_options *options, int argc, char **argv, int *index,
                         struct error *error)
{
    struct text word = text_from_string(argv[*index]);
    size_t equals = text_find_byte(word, '=');
    const struct option *option = find_option(text_first(word, equals));
    if (option == NULL) {
        return error_set(error, "unknown option %s; `weft run --help` lists them", argv[*index]);
    }
    if (option->kind == OPTION_FLAG) {
        *((bool *)(void *)options + option->offset) = true;
        return equals == word.size || error_set(error, "%s takes no value", option->name);
    }
    char *value = equals < word.size ? argv[*index] + equals + 1 : NULL;
    if (value == NULL && *index + 1 < argc) {
        value = argv[++*index];
    }
    if (value == NULL) {
        return error_set(error, "%s needs a value: %s", option->name, option->help);
    }
    if (!parse_value(options, option, value)) {
        return error_set(error, "%s %s: not a good value: %s", option->name, value, option->help);
    }
    return true;
}

bool run_options_parse(struct run_options *options, int argc, char **argv, struct error *error)
{
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(options, argc, argv, &i, error)) {
                return false;
            }
        } else if (options->path_count == OPTION_PATHS_MAX) {
            return error_set(error, "at most %d folders and files", OPTION_PATHS_MAX);
        } else {
            options->paths[options->path_count++] = argv[i];
        }
    }
    const char *slashes = options->encoded_slashes;
    if (slashes && strcmp(slashes, "keep") != 0 && strcmp(slashes, "refuse") != 0) {
        return error_set(error, "--encoded-slashes is keep or refuse");
    }
    return true;
}

bool run_options_paths_exist(const struct run_options *options, struct error *error)
{
    for (unsigned i = 0; i < options->path_count; i++) {
        if (access(options->paths[i], R_OK) != 0) {
            return error_errno(error, errno, "%s cannot be read", options->paths[i]);
        }
    }
    return true;
}

void run_options_help(void)
{
    puts("weft run DIR|FILE... [options]\n");
    for (size_t i = 0; i < OPTION_TABLE_SIZE; i++) {
        printf("  %-32s %s\n", options_table[i].name, options_table[i].help);
    }
}

void run_options_print(const struct run_options *options, bool json)
{
    bool first = true;
    for (size_t i = 0; i < OPTION_TABLE_SIZE; i++) {
        const struct option *option = &options_table[i];
        const char *at = (const char *)options + option->offset;
        uint64_t value;
        if (option->kind == OPTION_U32) {
            value = *(const uint32_t *)(const void *)at;
        } else if (option->kind == OPTION_U64) {
            value = *(const uint64_t *)(const void *)at;
        } else {
            continue;
        }
        if (json) {
            printf("%s\n  \"%s\": %llu", first ? "{" : ",", option->name + 2,
                   (unsigned long long)value);
        } else {
            printf("%-32s %10llu  %s\n", option->name + 2, (unsigned long long)value, option->help);
        }
        first = false;
    }
    if (json) {
        puts("\n}");
    }
}

/* The cgroup's CPU quota (v2: "QUOTA PERIOD" or "max PERIOD"), rounded up; 0: none. */
static unsigned cpu_quota(void)
{
    char line[64];
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return 0;
    }
    size_t size = fread(line, 1, sizeof(line), file);
    fclose(file);
    struct text rest = text_of(line, size);
    struct text word;
    uint64_t quota, period;
    rest = text_first(rest, text_find_byte(rest, '\n'));
    if (!text_split(&rest, ' ', &word) || !text_parse_u64(word, UINT32_MAX, &quota) ||
        !text_parse_u64(rest, UINT32_MAX, &period) || period == 0) {
        return 0;
    }
    return (unsigned)((quota + period - 1) / period);
}

unsigned run_workers(const struct run_options *options)
{
    if (options->workers > 0) {
        return options->workers;
    }
    cpu_set_t set;
    unsigned count = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    unsigned quota = cpu_quota();
    if (quota > 0 && quota < count) {
        count = quota;
    }
    return count < WORKERS_MAX ? (count ? count : 1) : WORKERS_MAX;
}
