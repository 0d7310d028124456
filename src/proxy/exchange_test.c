/* One exchange after another on a connection: keep-alive, pipelining, heads, methods, versions. */
#include "sim/proxy_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct bed bed;

static void requests_share_both_connections(void **state)
{
    struct peer client, backend;
    bed_open(&bed, &(struct bed_setup){ 0 });
    client_open(&bed, &client);
    for (int i = 0; i < 5; i++) {
        peer_say(&client, GET);
        if (i == 0) {
            backend_accept(&bed, 0, &backend);
        }
        const char *head = peer_hear(&backend, "\r\n\r\n");
        assert_memory_equal(head, "GET /a HTTP/1.1\r\nhost: h\r\n", 26);
        assert_non_null(strstr(head, "x-forwarded-for: 127.0.0.1\r\n"));
        peer_say(&backend, OK);
        assert_string_equal(peer_hear(&client, "\r\n\r\n"),
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        peer_hear_exactly(&client, "ok");
        bed_must_be_idle(&bed);
    }
    assert_false(backend_is_asked(&bed, 0));
    peer_close(&client);
    peer_hear_nothing(&backend);
    peer_close(&backend);
    bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_share_both_connections),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
