/* The options of `weft run`, with their defaults. */
#pragma once

#include "base/error.h"
#include "net/address.h"

#include <stdint.h>

#define OPTION_PATHS_MAX     64
#define OPTION_ADDRESSES_MAX 16
#define OPTION_PORTS_MAX     16
#define WORKERS_MAX          64

struct option_port_map {
    uint16_t from;
    uint16_t to;
};

struct run_options {
    const char *paths[OPTION_PATHS_MAX]; /* folders and files, as given */
    unsigned path_count;
    unsigned workers; /* 0: by cpuset and quota */
    bool no_parent;
    bool external_names;
    struct text addresses[OPTION_ADDRESSES_MAX]; /* of Gateways that name none */
    unsigned address_count;
    struct text address_pool[256];
    unsigned address_pool_count;
    bool address_per_gateway; /* Gateways that name no address take one of the pool each */
    struct option_port_map port_map[OPTION_PORTS_MAX];
    unsigned port_map_count;
    struct address admin;   /* port 0: off */
    struct address metrics; /* likewise */
    struct address health;
    const char *admin_socket; /* NULL: off */
    const char *access_log;   /* "off", "stdout" or a path */
    uint32_t drain_delay_ms;  /* readiness fails, accepting goes on */
    uint32_t drain_timeout_ms;
    uint32_t max_connections; /* 0: by descriptors */
    uint32_t trusted_hops;
    uint64_t body_bytes;
    uint32_t header_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t stream_idle_timeout_ms;
    uint32_t request_timeout_ms;
    uint32_t connect_timeout_ms;
    uint32_t max_requests_per_connection;
    uint32_t max_connections_per_listener;
    uint32_t request_line_bytes;
    uint32_t header_bytes;
    uint32_t header_fields;
    bool merge_slashes;
    const char *encoded_slashes; /* "keep", "refuse" or NULL: by routes */
    const char *log_level;
    bool log_json;
};

void run_options_defaults(struct run_options *options);
/* Reads what follows the command's name. Texts point into argv. */
bool run_options_parse(struct run_options *options, int argc, char **argv, struct error *error);
/* Whether every path that is named exists: a mistyped folder is told at once. */
bool run_options_paths_exist(const struct run_options *options, struct error *error);
/* Prints the options with their defaults, one a line. */
void run_options_help(void);
/* `weft defaults`: every limit and time with its value, as text or JSON. */
void run_options_print(const struct run_options *options, bool json);
/* How many workers when none are asked for: CPUs of this process and its cgroup quota. */
unsigned run_workers(const struct run_options *options);
