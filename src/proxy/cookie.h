/* Reading cookies of a request (RFC 6265 section 5.4), for session persistence and route
 * conditions. */
#pragma once

#include "http/field.h"

/* The value of the first cookie with this name over all Cookie fields, without quotes around it. */
bool cookie_find(const struct fields *fields, struct text name, struct text *out_value);
