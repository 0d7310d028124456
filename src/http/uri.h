/* Paths, hosts and queries (RFC 3986, RFC 9110 section 4). */
#pragma once

#include "base/text.h"

enum path_slashes { PATH_KEEP, PATH_REFUSE };

struct path_rules {
    bool merge_slashes;              /* "//" becomes "/"; when false it is kept */
    enum path_slashes encoded_slash; /* %2F */
    enum path_slashes backslash;     /* '\' and %5C */
    enum path_slashes double_slash;  /* "//", where merge_slashes is off */
    /* ';' and %3B: some servers drop what follows them. Routing needs no rule, it refuses what they
     * would take for another route's (route_is_ambiguous); a policy over paths sets it. */
    enum path_slashes parameters;
};

enum path_result {
    PATH_SAME,       /* the input already was normal: *out_path is the input itself */
    PATH_CHANGED,    /* normal form written to `into` */
    PATH_BAD_ESCAPE, /* '%' without two hex digits, a control byte or overlong UTF-8 behind %: 400
                      */
    PATH_REFUSED_SLASH,
    PATH_REFUSED_BACKSLASH,
    PATH_REFUSED_DOUBLE_SLASH,
    PATH_REFUSED_PARAMETER,
    PATH_BAD_BYTE,   /* '"', '#', '<', '>', '?', control, space, DEL, non-ASCII; no leading '/' */
    PATH_ABOVE_ROOT, /* ".." that would leave the root */
};

/* Normalizes once, before routing and policy alike: unreserved characters are percent-decoded,
 * other escapes get upper-case hex, dot segments are removed (also spelt %2e), idempotent. `into`
 * needs path.size bytes. "*" passes unchanged.
 *
 * Whatever the rules keep, a dot segment that only some servers would see is refused: one that ends
 * or begins at %2F, %5C or '\' ("/a/..%2fb"), one with a parameter ("/..;/", "/.;x/"), and ".."
 * that would take away the empty segment of a kept "//". Double escapes ("%252e") stay what they
 * are. */
enum path_result path_normalize(struct text path, const struct path_rules *rules, char *into,
                                struct text *out_path);
const char *path_result_name(enum path_result result);
/* What a server that knows path parameters makes of a normalized path: without everything from ';'
 * or %3B to the next '/' (or `to_end`: to the end of the path), and without the segments that then
 * are empty. `into` needs path.size + 1 bytes. */
struct text path_without_parameters(struct text path, bool to_end, char *into);

/* host[:port] of Host or :authority. Names of letters, digits, '-', '_' and '.', at most 253 bytes
 * and no empty label but one trailing dot (kept in *out_host); IPv6 in brackets, which stay,
 * without zone. Userinfo, escapes, spaces, an empty host, an empty port, port 0, leading zeros in a
 * port and ports above 65535 are refused. *out_port is 0 where there is none. */
bool authority_parse(struct text authority, struct text *out_host, uint32_t *out_port);
/* Lower-cases into `into` (host.size bytes), without one trailing dot: the form hosts are matched
 * in. */
struct text host_fold(struct text host, char *into);

/* Walks "a=1&b=2". Names and values are raw (not decoded). */
bool query_next(struct text *rest, struct text *out_name, struct text *out_value);
/* Percent- and plus-decoding into `into` (t.size bytes); false on a bad escape. */
bool query_decode(struct text t, char *into, struct text *out);
