#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEPS_MAX 100000

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct rig *rig = ctx;
    (void)sock;
    (void)from;
    for (size_t i = 0; i < n; i++)
        rig->sum += *(const unsigned char *)msgs[i].data;
    rig->received += n;
    return n;
}

static const struct mcq_sock_handlers HANDLERS = {.messages = on_messages};

/* The peer's greeting and READY (RFC 37), as it would come over the wire. */
static bool say_hello(int fd, const char *type)
{
    unsigned char hello[64 + 64] = {0xff, [9] = 0x7f, [10] = 3, [11] = 1, 'N', 'U', 'L', 'L'};
    unsigned char *p = hello + 64;
    size_t type_len = strlen(type);
    *p++ = 4;
    *p++ = (unsigned char)(6 + 12 + 4 + type_len);
    memcpy(p, "\x05READY\x0bSocket-Type\0\0\0", 21);
    p += 21;
    *p++ = (unsigned char)type_len;
    memcpy(p, type, type_len);
    p += type_len;
    return write(fd, hello, (size_t)(p - hello)) == p - hello;
}

static bool come_up(struct rig *rig)
{
    for (int i = 0; i < STEPS_MAX && mcq_sock_peer_cnt(rig->sock) == 0; i++)
        mcq_shard_step(&rig->shard);
    struct mcq_node *n = mcq_list_first(&rig->sock->links);
    rig->link = n == NULL ? NULL : MCQ_CONTAINER_OF(n, struct mcq_link, sock_node);
    return mcq_sock_peer_cnt(rig->sock) == 1;
}

bool rig_open(struct rig *rig, enum mcq_sock_type type, const char *peer_type)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_opts eff;
    struct mcq_sock_opts so = MCQ_SOCK_OPTS_INIT;
    struct mcq_detail detail = {.text = ""};
    int fds[2];
    opts.idle = MCQ_IDLE_SPIN;
    so.send_hwm_msgs = MCQ_UNLIMITED;
    memset(rig, 0, sizeof(*rig));
    if (mcq_opts_effective(&opts, &eff, &detail) != MCQ_OK ||
        mcq_shard_init(&rig->shard, 0, &eff, NULL, &detail) != MCQ_OK ||
        mcq_sock_open(&rig->shard, type, &so, &HANDLERS, rig, &rig->sock, &detail) != MCQ_OK ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        fprintf(stderr, "mcq-micro: %s\n", detail.text);
        return false;
    }
    rig->far_fd = fds[1];
    mcq_link_accept(rig->sock, fds[0]);
    if (!say_hello(fds[1], peer_type) || !come_up(rig)) {
        fprintf(stderr, "mcq-micro: no handshake with a %s\n", peer_type);
        return false;
    }
    return true;
}

void rig_close(struct rig *rig)
{
    close(rig->far_fd);
    mcq_sock_close(rig->sock);
    mcq_stop(&rig->shard);
    while (mcq_shard_step(&rig->shard))
        ;
    mcq_shard_fini(&rig->shard);
}
