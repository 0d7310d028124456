/* The shapes Gateway API and Kubernetes demand of texts, one matcher each (the regular
 * expressions of the CRDs, written as code), and GEP-2257 durations. */
#pragma once

#include "base/text.h"

enum pattern {
    PATTERN_ANY,
    PATTERN_DNS_LABEL,        /* RFC 1123 label, 63 */
    PATTERN_DNS_SUBDOMAIN,    /* RFC 1123 subdomain, 253 */
    PATTERN_HOSTNAME,         /* subdomain, the first label may be "*"; no IP address */
    PATTERN_PRECISE_HOSTNAME, /* subdomain without wildcard; no IP address */
    PATTERN_GROUP,            /* empty or subdomain */
    PATTERN_KIND,             /* letters, digits, '-'; begins with a letter */
    PATTERN_HEADER_NAME,      /* RFC 9110 token */
    PATTERN_HEADER_VALUE,     /* printable ASCII, blanks only inside */
    PATTERN_URI_PATH,         /* pchar and '/' */
    PATTERN_CORS_ORIGIN,      /* "*" or scheme://host[:port], host may begin with "*." */
    PATTERN_PREFIXED_PATH,    /* domain/path: controller names */
    PATTERN_ADDRESS_TYPE,     /* IPAddress, Hostname, NamedAddress or domain/path */
    PATTERN_PROTOCOL,         /* a word or domain/word */
    PATTERN_ABSOLUTE_URI,
    PATTERN_LABEL_KEY,        /* [subdomain/]name */
    PATTERN_LABEL_VALUE,
    PATTERN_WELL_KNOWN_CA,    /* System or domain/name */
    PATTERN_ROUTABILITY,      /* empty, Cluster or domain/path outside k8s.io */
    PATTERN_PORT_NAME,        /* RFC 6335 service name, 15, lower case */
    PATTERN_DATA_KEY,         /* keys of ConfigMaps and Secrets */
    PATTERN_IP_ADDRESS,
};

bool pattern_matches(enum pattern pattern, struct text t);
/* What a text of this pattern looks like, for messages: "must be ...". */
const char *pattern_words(enum pattern pattern);
bool text_is_ip_address(struct text t);
/* "1h30m", "500ms": up to four of up to five digits with h, m, s or ms (GEP-2257). */
bool duration_parse(struct text t, int64_t *out_ms);
/* The number of changes of one byte (also swaps of two) that make a into b, letter case ignored;
 * more than `limit` gives limit + 1. Texts above 64 bytes are never near. */
unsigned text_distance(struct text a, struct text b, unsigned limit);
