/* Hashing of bytes. hash_text is keyed per process (SipHash-1-3 with a random key), so that tables
 * filled by strangers cannot be flooded. hash_stable is the same in every process and release: for
 * resource versions and affinity keys (SipHash-2-4 with a fixed or given key). */
#pragma once

#include "base/text.h"

uint64_t hash_text(struct text t);
uint64_t hash_stable(struct text t);
uint64_t hash_keyed(const uint64_t key[2], struct text t);
