/* The sockets: one thread, epoll. Requests of one connection are answered one after the other, also pipelined ones. */
#ifndef SLUICE_MOCK_SERVER_H
#define SLUICE_MOCK_SERVER_H

#include "mock/answer.h"

struct server {
	struct mock *mock;
	int listen_fd, epoll_fd, signal_fd;
	uint16_t port;
	struct connection *all; /* list of the open ones */
	uint64_t connections;   /* so far */
};

/* "127.0.0.1:0", "[::1]:8080"; SIGTERM and SIGINT are blocked and become the server's end. */
bool server_open(struct server *s, struct str listen, struct str *host, struct arena *a, struct err *e);
bool server_run(struct server *s, struct mock *m, struct err *e); /* true after SIGTERM or SIGINT */
void server_close(struct server *s);

#endif
