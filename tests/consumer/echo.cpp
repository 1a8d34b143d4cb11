// A user's program in C++17, outside the tree: one request and one reply over tcp on one shard.
#include <cstdio>
#include <monocoque.h>
#include <string_view>

namespace
{

struct Echo {
    mcq_sock *requester = nullptr;
    int replies = 0;
};

std::string_view text_of(const mcq_msg *msg)
{
    const mcq_frame f = mcq_msg_frame(msg, 0);
    return {static_cast<const char *>(f.data), f.len};
}

mcq_flow on_request(void *, mcq_sock *sock, mcq_peer, mcq_msg *msg)
{
    const std::string_view text = text_of(msg);
    if (mcq_send_bytes(sock, text.data(), text.size()) != MCQ_OK)
        mcq_stop(mcq_sock_shard(sock));
    return MCQ_CONTINUE;
}

mcq_flow on_reply(void *ctx, mcq_sock *sock, mcq_peer, mcq_msg *msg)
{
    static_cast<Echo *>(ctx)->replies += text_of(msg) == "hello";
    mcq_stop(mcq_sock_shard(sock));
    return MCQ_CONTINUE;
}

mcq_sock_handlers handlers_of(decltype(mcq_sock_handlers::message) message)
{
    mcq_sock_handlers handlers = {};
    handlers.message = message;
    return handlers;
}

const mcq_sock_handlers reply_handlers = handlers_of(on_request);
const mcq_sock_handlers request_handlers = handlers_of(on_reply);

int on_start(mcq_shard *shard, void *arg)
{
    auto *echo = static_cast<Echo *>(arg);
    mcq_sock *replier = nullptr;
    const bool ok =
        mcq_sock_open(shard, MCQ_REP, nullptr, &reply_handlers, echo, &replier, nullptr) ==
            MCQ_OK &&
        mcq_sock_bind(replier, "tcp://127.0.0.1:*", nullptr) == MCQ_OK &&
        mcq_sock_open(shard, MCQ_REQ, nullptr, &request_handlers, echo, &echo->requester,
                      nullptr) == MCQ_OK &&
        mcq_sock_connect(echo->requester, mcq_sock_endpoint(replier), nullptr) == MCQ_OK &&
        mcq_send_bytes(echo->requester, "hello", 5) == MCQ_OK;
    return ok ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
    mcq_opts opts = MCQ_OPTS_INIT;
    mcq_app app = {};
    mcq_detail detail;
    Echo echo;

    mcq_opts_parse(&opts, &argc, argv);
    app.start = on_start;
    if (mcq_run(&opts, &app, &echo, &detail) != MCQ_OK) {
        std::fprintf(stderr, "echo: %s\n", detail.text);
        return 1;
    }
    const uint32_t version = mcq_version();
    std::printf("%u.%u.%u %d\n", version >> 16, version >> 8 & 255, version & 255, echo.replies);
    return 0;
}
