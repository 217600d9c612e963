/* The page ledger of one window (ledger.md), for SPIN: runs that fetch, a user who accepts, a collector, a reader, and a
 * store that offers one thing only: create if absent, whose answer may be lost or whose effect may come late.
 *
 *     spin -a ledger.pml; cc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -o pan pan.c; ./pan
 *
 * There is no clock and no lease in here: a newcomer may begin at any step of any other, whatever a lease would say. A run
 * may die at any step (RUNS is how many runs begin after the first ones) or stand still for as long as it likes: that is
 * what interleaving means. A lane of the program is one Runner; its steps are those of src/ingest/lane_store.c.
 *
 * `rule NAME`: what must hold at each effect, whatever the runs think they do. test/spec/audit.py holds the effects of
 * the real program against rules of the same names. -D of a mutant breaks one thing; a rule must then fail. */

#ifndef P
#define P 2            /* pages that the API has */
#endif
#ifndef G
#define G 2            /* generations at most */
#endif
#ifndef N
#define N 5            /* entries of a generation at most: a run that would need more ends as if stopped */
#endif
#ifndef RUNNERS
#define RUNNERS 2      /* at once */
#endif
#ifndef RUNS
#define RUNS 1         /* that begin later, after a death, an end or a loss */
#endif
#ifndef LOST
#define LOST 1         /* answers of the store that are lost */
#endif
#ifndef COLLECTS
#define COLLECTS 1
#endif
#ifndef ACCEPTS
#define ACCEPTS 1
#endif
#ifndef READS
#define READS 1
#endif
#ifndef DEFINITIONS
#define DEFINITIONS 1  /* 2: runs may disagree on what is asked for */
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1     /* loops, refused cursors, totals that do not add up, a resume that comes too late */
#endif
#ifndef RENEWALS
#define RENEWALS 1     /* entries without pages: a lease renewed, failed attempts kept */
#endif

#define OPEN_ 0
#define CANDIDATE 1
#define PROMOTED 2
#define ABANDONED 3
#define NONE 4
#define EXPIRED 5

#define CREATED 0      /* answers of the store */
#define EXISTS 1
#define UNKNOWN 2

/* Kinds of entries: the same as in format/ledger.h. */
#define none 0
mtype = { claim, pages, seal, accept, abandon, expire };

typedef entry {
	mtype kind;
	byte upto;       /* state.pages after it */
	byte epoch;
	byte who;        /* the nonce: whose bytes these are */
	byte sealed;     /* it holds a seal: CANDIDATE or PROMOTED */
	bit asked        /* entry 0: the definition */
};
entry e[G * N];
byte blobs[G * N];   /* by generation and epoch: a bit for each page that a segment may end with */

typedef in_flight { /* a create whose answer was lost and that the store carries out later, or never */
	bool is;
	byte g, n;
	entry e;
	byte from
};
in_flight late;

byte runs = RUNS, lost = LOST;

/* Ghosts: nobody in the model looks at them. */
byte committed[G];   /* pages of the generation, counted at their commit */
short fenced = 0;    /* runs that have lost: bit by id */
short claimed[G];    /* runs that have claimed this generation */
byte promoted = 0;   /* newest promoted generation so far, from 1 */

/* The rules; one that is broken says so (compile pan with -DPRINTF). */
mtype = { number_follows, claim_is_its_epoch, open_after_close, claim_once, newest_claim_writes, fenced_is_silent, nothing_after_close, accept_candidate, expire_superseded, pages_continue, payload_first, one_definition, seal_complete, collect_unnamed, reads_promoted, payload_kept, reads_all };
#define rule(name, holds) if :: holds :: else -> printf("broken: "); printm(name); printf("\n"); assert(false) fi

hidden byte i, j, x, s; /* scratch of one d_step */

#define AT(g, n) e[(g) * N + (n)]
#ifdef MUTANT_SHARED_BLOBS
#define BLOBS(g, epoch) blobs[(g) * N]
#define SAME(a, b) true
#else
#define BLOBS(g, epoch) blobs[(g) * N + (epoch)] /* names begin with the epoch */
#define SAME(a, b) ((a) == (b))
#endif
#ifdef MUTANT_CURSOR_OBJECT
byte cursor[G];
#endif

/* Number of entries, and where the generation stands: ledger_open. */
inline look(g_, n_, upto_, status_) {
	n_ = 0; upto_ = 0; status_ = NONE;
	do
	:: n_ < N && AT(g_, n_).kind != none ->
		if
		:: AT(g_, n_).sealed -> status_ = AT(g_, n_).sealed
		:: AT(g_, n_).kind == accept -> status_ = PROMOTED
		:: AT(g_, n_).kind == abandon -> status_ = ABANDONED
		:: AT(g_, n_).kind == expire -> status_ = EXPIRED
		:: else -> status_ = OPEN_
		fi;
		upto_ = AT(g_, n_).upto;
		n_++
	:: else -> break
	od
}

/* ── what must hold at the effect of a create; k_ is the new entry ── */

inline effect(g_, n_, from_) {
	d_step {
		if
		:: k.kind == claim ->
			rule(number_follows, n_ == 0 || AT(g_, n_ - 1).kind != none);
			rule(claim_is_its_epoch, k.epoch == n_);
			i = 0;
			do
			:: n_ == 0 && i < g_ -> look(i, j, x, s);
				rule(open_after_close, s != OPEN_ && s != NONE);
				i++
			:: else -> break
			od;
			rule(claim_once, !(claimed[g_] & (1 << k.who)));
			claimed[g_] = claimed[g_] | (1 << k.who)
		:: else ->
			rule(number_follows, n_ > 0 && AT(g_, n_ - 1).kind != none);
			i = n_;
			do :: i > 0 && AT(g_, i - 1).kind != claim -> i-- :: else -> break od;
			rule(newest_claim_writes, i > 0 && k.epoch == i - 1);
			rule(newest_claim_writes, k.kind == accept || k.kind == expire || AT(g_, i - 1).who == k.who)
		fi;
		rule(fenced_is_silent, !(fenced & (1 << k.who)));
		if
		:: n_ > 0 ->
			look(g_, j, x, s);
			if
			:: k.kind == accept -> rule(accept_candidate, s == CANDIDATE)
			:: k.kind == expire -> rule(expire_superseded, s != OPEN_ && s != EXPIRED && g_ + 1 < promoted)
			:: else -> rule(nothing_after_close, s == OPEN_)
			fi
		:: else
		fi;
		if
		:: k.kind == pages && k.upto > from_ ->
			rule(pages_continue, from_ == committed[g_]);
			rule(payload_first, BLOBS(g_, k.epoch) & (1 << k.upto));
			rule(one_definition, k.asked == AT(g_, 0).asked);
			committed[g_] = k.upto
		:: else ->
			rule(pages_continue, k.upto == committed[g_])
		fi;
		if
		:: k.sealed ->
			rule(seal_complete, k.kind == pages || k.kind == seal);
			rule(seal_complete, committed[g_] == P)
		:: else -> rule(seal_complete, k.kind != seal)
		fi;
		if
		:: (k.sealed == PROMOTED || k.kind == accept) && g_ + 1 > promoted -> promoted = g_ + 1
		:: else
		fi;
		AT(g_, n_).kind = k.kind; AT(g_, n_).upto = k.upto; AT(g_, n_).epoch = k.epoch;
		AT(g_, n_).who = k.who; AT(g_, n_).sealed = k.sealed;
		if :: n_ == 0 -> AT(g_, n_).asked = k.asked :: else fi
	}
}

/* Entry i of the generation at hand names the segment at hand. */
#define NAMES(i) (AT(g, i).kind == pages && AT(g, i).upto == page && SAME(AT(g, i).epoch, epoch) && \
		  (i == 0 || AT(g, i - 1).upto < page))
#define FREE(g, n) (AT(g, n).kind == none)

/* Create if absent. */
inline create(g_, n_, from_) {
	if
#ifdef MUTANT_PLAIN_PUT
	:: true ->
#else
	:: FREE(g_, n_) ->
#endif
		if
		:: effect(g_, n_, from_); answer = CREATED
		:: lost > 0 -> lost--; answer = UNKNOWN /* done, and the answer is lost */
			effect(g_, n_, from_)
		:: lost > 0 -> lost--; answer = UNKNOWN /* never done */
		:: lost > 0 && !late.is -> lost--; answer = UNKNOWN /* done later, or never */
			late.is = true; late.g = g_; late.n = n_; late.from = from_;
			late.e.kind = k.kind; late.e.upto = k.upto; late.e.epoch = k.epoch; late.e.who = k.who;
			late.e.sealed = k.sealed; late.e.asked = k.asked
		fi
#ifndef MUTANT_PLAIN_PUT
	:: !FREE(g_, n_) -> answer = EXISTS
#endif
	fi
}

/* Whatever was answered but CREATED: the slot is read back, a step of its own. Nothing there: nobody knows, the run ends. */
inline read_back(g_, n_) {
#ifdef MUTANT_NO_READBACK
	if :: answer == UNKNOWN -> answer = CREATED :: else fi;
#endif
	if
	:: answer == CREATED -> skip
	:: answer != CREATED && FREE(g_, n_) -> answer = UNKNOWN
	:: answer != CREATED && !FREE(g_, n_) && AT(g_, n_).who == k.who -> answer = CREATED
	:: answer != CREATED && !FREE(g_, n_) && AT(g_, n_).who != k.who ->
		answer = EXISTS; fenced = fenced | (1 << k.who)
	fi
}

inline entry_is(kind_, upto_, epoch_, sealed_) {
	k.kind = kind_; k.upto = upto_; k.epoch = epoch_; k.sealed = sealed_
}

#define FORGET k.kind = none; k.upto = 0; k.epoch = 0; k.who = 0; k.sealed = 0; k.asked = 0

/* `id` names the run; a later run of the same process has another one. */
proctype Runner(byte id) {
	entry k;             /* the entry to create next */
	byte g, n, cur, epoch, status, answer;
	bool gives_up;

	/* The plan: which generation? plan_window.c, window_generations_read. */
plan:   atomic {
		k.who = id;
		if :: DEFINITIONS > 1 -> k.asked = 1 :: k.asked = 0 fi;
		g = 0;
		do :: g < G && !FREE(g, 0) -> g++ :: else -> break od;
		status = NONE;
		if :: g > 0 -> look(g - 1, n, cur, status) :: else fi;
		if
		:: status == OPEN_ -> g--                              /* resume */
#ifdef MUTANT_OPEN_TWO
		:: status == OPEN_ -> skip
#endif
		:: status != OPEN_ -> skip                             /* the next one: first, abandoned, fetched again */
		:: status == PROMOTED || status == CANDIDATE -> goto stop /* there, or waits for a word */
		fi;
		n = 0; cur = 0; status = 0;
		if :: g >= G -> goto stop :: else fi
	};

	/* The lane: work_open, claim_generation. Whatever happened since the plan is seen here, or by the create. */
open:   atomic {
		look(g, n, cur, status);
		if :: (status != OPEN_ && status != NONE) || n >= N -> goto stop :: else fi;
		gives_up = false;
		if
		:: n > 0 && GIVE_UPS -> gives_up = true                 /* resume_within is over */
		:: n == 0 || AT(g, 0).asked == k.asked -> skip
#ifdef MUTANT_KEEP_DEFINITION
		:: n > 0 && AT(g, 0).asked != k.asked -> skip
#else
		:: n > 0 && AT(g, 0).asked != k.asked -> gives_up = true
#endif
		fi;
		status = 0;
		entry_is(claim, cur, n, 0);
		goto yield
	};

	/* One creation: here all entries of a run come into being. */
yield:  skip;
	atomic { create(g, n, cur); if :: answer == CREATED -> goto written :: else fi };
	atomic {
		read_back(g, n);
		if
		:: answer == CREATED -> goto written
#ifdef MUTANT_CLAIM_AGAIN
		:: answer == EXISTS -> answer = 0; goto open
#endif
		:: else -> goto stop
		fi
	};

	/* What comes next. To stop is always possible: a signal, a deadline, a kill, no room in the model. */
written: atomic {
		answer = 0;
#ifdef MUTANT_ENTRY_FIRST
		if :: k.kind == pages && k.upto > cur -> BLOBS(g, epoch) = BLOBS(g, epoch) | (1 << k.upto) :: else fi;
#endif
		if
		:: k.sealed || k.kind == seal -> goto stop
		:: k.kind == abandon && !gives_up -> goto stop
		:: k.kind == abandon && gives_up ->                    /* the next generation, as one run */
			g++; gives_up = false; n = 0; cur = 0; epoch = 0;
			if :: g >= G || !FREE(g, 0) -> goto stop :: else fi;
			entry_is(claim, 0, 0, 0);
			goto yield
		:: k.kind == claim -> epoch = n
		:: k.kind == pages && !k.sealed -> cur = k.upto
		fi;
#ifdef MUTANT_CURSOR_OBJECT
		if :: k.kind == claim -> cur = cursor[g] :: k.kind == pages -> goto save :: else fi;
#endif
		goto go_on
	};
#ifdef MUTANT_CURSOR_OBJECT
save:   atomic { if :: cursor[g] = cur :: goto stop fi; goto go_on };
#endif
go_on:  atomic {
		n++;
		if
		:: goto stop
		:: n < N && gives_up -> entry_is(abandon, cur, epoch, 0)
		:: n < N && !gives_up && GIVE_UPS -> entry_is(abandon, cur, epoch, 0) /* a loop, a refused cursor, a wrong total */
		:: n < N && !gives_up && RENEWALS -> entry_is(pages, cur, epoch, 0)   /* the lease renewed, failed attempts kept */
		:: n < N && !gives_up && cur == P -> entry_is(seal, cur, epoch, PROMOTED)
		:: n < N && !gives_up && cur == P && g > 0 -> entry_is(seal, cur, epoch, CANDIDATE)
		:: n < N && !gives_up && cur < P ->                    /* some pages, in one segment */
			if
			:: k.upto = P
			:: cur + 1 < P -> k.upto = cur + 1
			fi;
			if
			:: entry_is(pages, k.upto, epoch, 0)
			:: k.upto == P -> entry_is(pages, k.upto, epoch, PROMOTED)
			:: k.upto == P && g > 0 -> entry_is(pages, k.upto, epoch, CANDIDATE)
#ifdef MUTANT_SEAL_UNCHECKED
			:: k.upto < P -> entry_is(pages, k.upto, epoch, PROMOTED) /* called the last one; the total says otherwise */
#endif
			fi;
#ifndef MUTANT_ENTRY_FIRST
			BLOBS(g, epoch) = BLOBS(g, epoch) | (1 << k.upto)
#endif
		fi;
		goto yield
	};

stop:   atomic {
		g = 0; n = 0; cur = 0; epoch = 0; status = 0; answer = 0; gives_up = false; FORGET;
		if
		:: runs > 0 -> runs--; id = id + RUNNERS; goto rest
		:: goto done
		fi
	};
rest:   skip;
	goto plan;
done:   skip
}

/* `sluice accept`: promotes the newest candidate that no promoted generation follows. It claims nothing: its entry comes
 * behind the seal, where nobody else may write. */
proctype Accept() {
	entry k;
	byte g, n, upto, status, answer, left = ACCEPTS;
	do
	:: left == 0 -> break
	:: left > 0 ->
		atomic {
			left--; k.who = 12 + left;
			g = 0;
			do :: g < G && !FREE(g, 0) -> g++ :: else -> break od;
			status = NONE;
			do :: g > 0 && status != CANDIDATE && status != PROMOTED -> g--; look(g, n, upto, status) :: else -> break od;
			if
#ifdef MUTANT_ACCEPT_OPEN
			:: status == OPEN_ && n < N -> entry_is(accept, upto, AT(g, n - 1).epoch, 0)
#endif
			:: status == CANDIDATE && n < N -> entry_is(accept, upto, AT(g, n - 1).epoch, 0)
			:: else -> goto next
			fi
		};
		atomic { create(g, n, upto) };
		atomic { read_back(g, n) };
next:           atomic { g = 0; n = 0; upto = 0; status = 0; answer = 0; FORGET }
	od
}

/* Removes a segment that no entry names, or one of a generation that it has expired. In an open generation it claims first: whoever wrote before cannot commit what is
 * being removed, and whoever comes later writes under another epoch. Looking and removing are two steps. */
proctype Collector() {
	entry k;
	byte g, n, upto, status, answer, left = COLLECTS, epoch, page;
	bool named, superseded;
	do
	:: left == 0 -> break
	:: left > 0 ->
		atomic {
			left--; k.who = 14 + left;
			if :: g = 0 :: g = G - 1 fi;
			superseded = false;
			if :: g == 0 && G > 1 -> look(1, n, upto, status); superseded = (status == PROMOTED) :: else fi;
			look(g, n, upto, status);
			if
			:: status == NONE || (status == OPEN_ && n >= N) -> goto next
			:: status == OPEN_ && n < N -> entry_is(claim, upto, n, 0); k.asked = AT(g, 0).asked
			:: status == EXPIRED -> n = 0; goto choose             /* whatever is left of it goes */
			:: (status == PROMOTED || status == CANDIDATE || status == ABANDONED) && n < N && superseded ->
				entry_is(expire, upto, AT(g, n - 1).epoch, 0)  /* a newer fetch is the window's truth */
			:: status == PROMOTED || status == CANDIDATE || status == ABANDONED -> n = N; goto choose
#ifdef MUTANT_EXPIRE_NEWEST
			:: status == PROMOTED && n < N -> entry_is(expire, upto, AT(g, n - 1).epoch, 0)
#endif
			fi
		};
#ifndef MUTANT_COLLECT_UNFENCED
		atomic { create(g, n, upto) };
		atomic { read_back(g, n); if :: answer != CREATED -> goto next :: else -> if :: k.kind == expire -> n = 0 :: else fi fi };
#endif
choose:         atomic {
			if
			:: epoch = 0
			:: n == 0 || n > 1 -> epoch = 1
			:: n == 0 || n > 2 -> epoch = 2
			:: n == 0 || n > 3 -> epoch = 3
			fi;
			if :: page = 1 :: P > 1 -> page = 2 :: P > 2 -> page = 3 fi;
			if :: epoch >= N || !(BLOBS(g, epoch) & (1 << page)) -> goto next :: else fi;
			d_step {
				i = 0;
				do :: i < n && i < N && !NAMES(i) -> i++ :: else -> break od;
				named = (i < n && i < N)
			};
			if :: named -> goto next :: else fi
		};
		d_step {
			look(g, j, x, s);
			i = 0;
			do
			:: i < N -> rule(collect_unnamed, s == EXPIRED || !NAMES(i)); i++
			:: else -> break
			od;
			BLOBS(g, epoch) = BLOBS(g, epoch) & ~(1 << page);
#ifdef REACH_COLLECTED
			assert(false)
#endif
		};
next:           atomic { g = 0; n = 0; upto = 0; status = 0; answer = 0; epoch = 0; page = 0; named = false; superseded = false; FORGET }
	od
}

/* Prepare, verify, trace: the newest promoted generation, entry by entry, then its segments. */
proctype Reader() {
	byte g, n, upto, status = NONE, before, at, seen;
	bool gone;
	d_step { before = promoted; g = 0; do :: g < G && !FREE(g, 0) -> g++ :: else -> break od };
	do
	:: g > 0 && status != PROMOTED -> atomic { g--; look(g, n, upto, status); gone = gone || status == EXPIRED }
	:: else -> break
	od;
	if /* what was the newest in the listing may be expired by now: nothing is found then, and that is all */
	:: status != PROMOTED -> rule(reads_promoted, before == 0 || gone)
	:: else -> atomic {
		rule(reads_promoted, g + 1 >= before);
		look(g, n, upto, status); /* expired since: its segments may be gone, and the reader says so */
		gone = (status == EXPIRED);
		do
		:: at < n && AT(g, at).kind == pages && AT(g, at).upto > seen ->
			rule(payload_kept, gone || BLOBS(g, AT(g, at).epoch) & (1 << AT(g, at).upto));
			seen = AT(g, at).upto; at++
		:: at < n && !(AT(g, at).kind == pages && AT(g, at).upto > seen) -> at++
		:: else -> break
		od;
		rule(reads_all, seen == P)
#ifdef REACH_READ_SECOND
		; assert(g == 0)
#endif
	}
	fi
}

/* A create that comes late, or never. */
proctype Network() {
	entry k;
	do
	:: atomic { late.is ->
		if
		:: FREE(late.g, late.n) ->
			k.kind = late.e.kind; k.upto = late.e.upto; k.epoch = late.e.epoch; k.who = late.e.who;
			k.sealed = late.e.sealed; k.asked = late.e.asked;
			effect(late.g, late.n, late.from)
		:: true
		fi;
		d_step { late.is = false; late.g = 0; late.n = 0; late.from = 0; late.e.kind = none; late.e.upto = 0; late.e.epoch = 0;
			 late.e.who = 0; late.e.sealed = 0; late.e.asked = 0; FORGET } }
	:: timeout -> break
	od
}

init {
	atomic {
		run Runner(0);
		if :: RUNNERS > 1 -> run Runner(1) :: else fi;
		if :: RUNNERS > 2 -> run Runner(2) :: else fi;
		if :: ACCEPTS > 0 -> run Accept() :: else fi;
		if :: COLLECTS > 0 -> run Collector() :: else fi;
		if :: READS > 0 -> run Reader() :: else fi;
		if :: LOST > 0 -> run Network() :: else fi
	}
}
