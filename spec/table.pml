/* The tables of one resource (table.md): main, quarantine, perhaps a child's, two windows, runs that publish them,
 * compactions, for SPIN.
 *
 *     spin -a table.pml; cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c; ./pan
 *
 * A log is its newest version and what its files hold then; a run keeps copies of what it saw. A run may stand still or
 * die at any step. The steps are those of src/run/publish.c and publish_commit.c: split, tags, build, commit, judge_winners,
 * read once more; those of a compaction are in src/run/compact.c. An answer of the store that is lost needs no step of its own
 * here: the commit is read back by its bytes, and one that comes late is that of a run which stood still, went on, and died.
 *
 * `rule NAME`: what must hold at each commit; test/spec/audit.py holds the commits of the real program against rules of the
 * same names. -D of a mutant breaks one thing; a rule must then fail. */

#ifndef RUNNERS
#define RUNNERS 2      /* at once */
#endif
#ifndef RUNS
#define RUNS 1         /* that begin later */
#endif
#ifndef GENS
#define GENS 2         /* generations of a window that Raw may promote, one after the other */
#endif
#ifndef T
#define T 2            /* tables: the main one is the last, its quarantine the one before; 3: a child's, which comes first */
#endif
#ifndef F
#define F 5            /* files that a table may ever have: a run that would need more ends as if stopped */
#endif
#ifndef COMPACTS
#define COMPACTS 0     /* compactions, one after the other, beside the runs */
#endif
#ifndef LAYOUT
#define LAYOUT 1       /* at first: 0 no tables, 1 both windows in one file, 2 a file for each */
#endif

#ifndef SAME
#define SAME 0         /* 1: the later generations bring what the first one brought */
#endif
#ifndef BAD
#define BAD 4          /* contents with rows that break the contract: bit by content; 8: any of none, the first, the second */
#endif
#ifndef HAS
#define HAS 6          /* contents whose records have elements, for the child: bit by content */
#endif

#ifdef MUTANT_OLDER_WINS
#define MUTANT_STALE_PLAN
#endif

#define W 2
#define MAIN (T - 1)
#define ASIDE (T - 2)  /* the quarantine */
#define CHILD 0        /* where there are three: an array's table. Its own quarantine is one more of this kind, and left out. */
#define HAS_CHILD (T > 2)

/* A window in a file: its tag (generation and key; the key stands for the content) and whose rows there are. 0: not there. */
#define CELL(gen, key, row) ((gen) * 16 + (key) * 4 + (row))
#define GEN(c) ((c) >> 4)
#define KEY(c) (((c) >> 2) & 3)
#define ROW(c) ((c) & 3)
#define SAME_TAG(a, b) (((a) >> 2) == ((b) >> 2))

#define AT(t, f, w) cell[((t) * F + (f)) * W + (w)]
#define PIN(t, f, w) pin[((t) * F + (f)) * W + (w)]

/* Operations of commits, as they stand in commitInfo, and the actions of the log: the same as in the program.
 * `refine` replaces the whole of a table with one window: it is no step here. Nor is `repair`, which demands that nothing else
 * runs on its tables: it has a model of its own, repair.pml. */
mtype = { quarantine, prepare, tags, refine, compact, repair };
mtype = { commitInfo, protocol, metaData, remove, add };

byte cell[T * F * W];
byte version[T], made[T];
byte promoted[W];      /* in Raw */
byte runs = RUNS;
byte compacts = COMPACTS;
bit same_content;
byte bad;

/* Ghosts. */
byte ever[MAIN * W];   /* keys that the tables before the main one have carried: bit by key */
bit all_[RUNNERS + 1]; /* since main carries it there was a moment in which all tables carried what the run published */
bit waiting[RUNNERS + 1];
byte ours_[(RUNNERS + 1) * W];
bit no_room = 0;         /* a run ended for want of room in the model */

/* Scratch. Hidden from the state, so used inside of one d_step only. */
hidden byte i, j, k, c, d, r, rows, others, found, u;
hidden byte carry[W];
byte hit, before[W];   /* handed from one d_step to the next, 0 between steps */

mtype = { version_follows, rows_once, generation_has_its_content, promoted_only, older_never_wins, window_stays,
	  quarantine_first, children_first, tags_change_no_rows, compact_moves_only, done_means_all, heals };
#define rule(name, holds) if :: holds :: else -> printf("broken: "); printm(name); printf("\n"); assert(false) fi

#define CONTENT(gen) (same_content -> 1 : (gen))
#define ROWS(t, key) (((t) == MAIN || (((t) == ASIDE -> bad : HAS) & (1 << (key)))) -> (key) : 0)

inline find(t_, w_, out_) { /* the window's tag, 0 none */
	out_ = 0; k = 0;
	do
	:: k < F && AT(t_, k, w_) == 0 -> k++
	:: k < F && AT(t_, k, w_) != 0 -> out_ = AT(t_, k, w_); break
	:: else -> break
	od
}
inline find_pinned(t_, w_, out_) {
	out_ = 0; k = 0;
	do
	:: k < F && PIN(t_, k, w_) == 0 -> k++
	:: k < F && PIN(t_, k, w_) != 0 -> out_ = PIN(t_, k, w_); break
	:: else -> break
	od
}

inline load(t_) { /* table_load */
	d_step {
		i = 0;
		do :: i < F * W -> pin[t_ * F * W + i] = cell[t_ * F * W + i]; i++ :: else -> break od;
		base[t_] = version[t_]
	}
}

/* ── what must hold after each commit ── */

inline check(t_) {
	d_step {
		i = 0;
		do
		:: i < W ->
			c = 0; d = 0; r = 0; j = 0;
			do
			:: j < F ->
				if
				:: AT(t_, j, i) != 0 -> d++; c = AT(t_, j, i);
					rule(rows_once, ROW(c) == ROWS(t_, KEY(c)));
					rule(generation_has_its_content, GEN(c) > 0 && KEY(c) == CONTENT(GEN(c)));
					rule(promoted_only, GEN(c) <= promoted[i])
				:: else
				fi;
				j++
			:: else -> break
			od;
			rule(rows_once, d <= 1);
			if
			:: t_ < MAIN && c != 0 -> ever[t_ * W + i] = ever[t_ * W + i] | (1 << KEY(c))
			:: else
			fi;
			if
			:: t_ == MAIN && c != 0 -> rule(quarantine_first, ever[ASIDE * W + i] & (1 << KEY(c)))
			:: else
			fi;
			if /* of all children, before the main table and its quarantine */
			:: HAS_CHILD && t_ > CHILD && c != 0 -> rule(children_first, ever[CHILD * W + i] & (1 << KEY(c)))
			:: else
			fi;
			if
			:: t_ == MAIN -> rule(window_stays, c != 0 || before[i] == 0); rule(older_never_wins, GEN(c) >= GEN(before[i]))
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do :: i < W -> before[i] = 0; i++ :: else -> break od;
		i = 0
	}
}

inline watch() {
	d_step {
		i = 0;
		do
		:: i <= RUNNERS ->
			if
			:: waiting[i] && !all_[i] ->
				found = 1; r = 0;
				do
				:: r < MAIN * W ->
					find(r / W, r % W, c);
					if :: ours_[i * W + r % W] && KEY(c) != ours_[i * W + r % W] -> found = 0 :: else fi;
					r++
				:: else -> break
				od;
				all_[i] = found
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

inline published() { /* main carries it from now on */
	waiting[me] = 1; all_[me] = 0;
	ours_[me * W] = (todo[0] -> CONTENT(want[0]) : 0);
	ours_[me * W + 1] = (todo[1] -> CONTENT(want[1]) : 0);
	watch()
}

/* ── a commit, applied to whatever the newest version holds ── */

inline apply(t_) {
	d_step {
		i = 0;
		do :: i < W -> find(t_, i, before[i]); carry[i] = 0; i++ :: else -> break od;
		i = 0;
		do
		:: i < F ->
			if
			:: tagging ->          /* retag: same files, other generations */
				found = 0; j = 0;
				do
				:: j < W ->
					if :: PIN(t_, i, j) && same[j] && GEN(PIN(t_, i, j)) != want[j] -> found = 1 :: else fi;
					j++
				:: else -> break
				od;
				j = 0;
				do
				:: j < W && found ->
					c = PIN(t_, i, j);
					if
					:: c && same[j] -> AT(t_, i, j) = CELL(want[j], KEY(c), ROW(c));
						rule(tags_change_no_rows, KEY(c) == CONTENT(want[j]))
					:: else -> AT(t_, i, j) = c
					fi;
					j++
				:: else -> break
				od
			:: else ->             /* edit_table */
				found = 0; rows = 0; others = 0; d = 0; j = 0;
				do
				:: j < W ->
					c = PIN(t_, i, j);
					if :: c && todo[j] -> found = 1; d = d | ROW(c) :: else fi;
					if :: c && !todo[j] -> others = 1 :: else fi;
					if :: ROW(c) -> rows = 1 :: else fi;
					j++
				:: else -> break
				od;
				j = 0;
				do
				:: j < W && found ->
					c = PIN(t_, i, j);
					if
					:: d || (!rows && !others) -> /* removed; tags without rows move on */
#ifndef MUTANT_APPEND
						AT(t_, i, j) = 0;
#endif
						/* rows of a window that only a child has, of a run that did not come to its end, go */
						if :: c && !todo[j] && !ROW(c) -> carry[j] = c :: else fi
					:: else ->                    /* only its tags change */
						AT(t_, i, j) = (todo[j] -> 0 : c)
					fi;
					j++
				:: else -> break
				od
			fi;
			i++
		:: else -> break
		od;
		j = 0;
		do
		:: j < W && !tagging ->
			if
			:: todo[j] -> AT(t_, made[t_], j) = CELL(want[j], CONTENT(want[j]), ROWS(t_, CONTENT(want[j])))
			:: !todo[j] && carry[j] -> AT(t_, made[t_], j) = carry[j]
			:: else
			fi;
			j++
		:: else -> break
		od;
		if :: tagging :: else -> made[t_]++ fi;
		version[t_]++
	}
}

/* ── judge_winners: `pin` is what we built on, `cell` what they made of it ── */

#define ADD_ON_TOP 0
#define ALREADY_DONE 1
#define BUILD_AGAIN 2
#define LOST 3

inline judge(t_) {
	d_step {
		verdict = ADD_ON_TOP; others = 1; /* others: all of ours is there */
		i = 0;
		do
		:: i < F ->
			found = 0; rows = 0; u = 0; j = 0; /* u: the file goes */
			do
			:: j < W ->
				c = PIN(t_, i, j);
				if :: c && !tagging && todo[j] && ROW(c) -> u = 1 :: else fi;
				if
				:: c && !tagging && todo[j] -> found = 1
				:: c && tagging && same[j] && GEN(c) != want[j] -> found = 1
				:: else
				fi;
				if :: !SAME_TAG(c, AT(t_, i, j)) -> rows = 1 :: else fi;
				j++
			:: else -> break
			od;
			if :: found && rows -> verdict = BUILD_AGAIN :: else fi;
			/* the windows in the files that we add: ours, and those that only came along */
			j = 0;
			do
			:: j < W && found ->
				c = PIN(t_, i, j);
				if
				:: c && ((!tagging && !todo[j] && !(u && ROW(c))) || (tagging && !same[j])) ->
					find(t_, j, r);
					if :: r == 0 || KEY(r) != KEY(c) || GEN(r) < GEN(c) -> others = 0 :: else fi;
					find_pinned(t_, j, d);
					if
					:: r && !SAME_TAG(r, d) && !SAME_TAG(d, c) && GEN(r) >= GEN(c) -> verdict = LOST
					:: r && !SAME_TAG(r, d) && (SAME_TAG(d, c) || GEN(r) < GEN(c)) && verdict != LOST -> verdict = BUILD_AGAIN
					:: else
					fi
				:: else
				fi;
				j++
			:: else -> break
			od;
			i++
		:: else -> break
		od;
		j = 0;
		do
		:: j < W ->
			find_pinned(t_, j, d);
			if
			:: (!tagging && todo[j]) || (tagging && same[j] && d && GEN(d) != want[j]) ->
				c = CELL(want[j], CONTENT(want[j]), 0);
				find(t_, j, r);
				if :: r == 0 || KEY(r) != KEY(c) || GEN(r) < GEN(c) -> others = 0 :: else fi;
				if
#ifndef MUTANT_OLDER_WINS
				:: r && !SAME_TAG(r, d) && !(d && SAME_TAG(d, c)) && GEN(r) >= GEN(c) -> verdict = LOST
#else
				:: r && !SAME_TAG(r, d) && !(d && SAME_TAG(d, c)) && GEN(r) >= GEN(c) && verdict != LOST -> verdict = BUILD_AGAIN
#endif
				:: r && !SAME_TAG(r, d) && ((d && SAME_TAG(d, c)) || GEN(r) < GEN(c)) && verdict != LOST -> verdict = BUILD_AGAIN
				:: else
				fi
			:: else
			fi;
			j++
		:: else -> break
		od;
#ifdef MUTANT_FILES_UNCHECKED
		if :: !tagging && verdict == BUILD_AGAIN -> verdict = ADD_ON_TOP :: else fi;
#endif
#ifdef MUTANT_TAGS_UNCHECKED
		if :: tagging && verdict == BUILD_AGAIN -> verdict = ADD_ON_TOP :: else fi;
#endif
		if :: others -> verdict = ALREADY_DONE :: else fi
	}
}
/* Windows that share a file with one that is replaced come along, as main's tags name them: close_over_files. */
inline close_over() {
	d_step {
		d = 0;
		do
		:: d < W -> /* as often as there are windows is enough */
			i = 0;
			do
			:: i < F ->
				u = 0;
				do
				:: u < T ->
					found = 0; j = 0;
					do
					:: j < W ->
						if :: todo[j] && (u == MAIN -> PIN(u, i, j) : ROW(PIN(u, i, j))) -> found = 1 :: else fi;
						j++
					:: else -> break
					od;
					j = 0;
					do
					:: j < W ->
						if
						:: !todo[j] && found && (u == MAIN -> PIN(u, i, j) : ROW(PIN(u, i, j))) ->
							find_pinned(MAIN, j, c);
							if :: c == 0 -> find_pinned(ASIDE, j, c) :: else fi;
							/* no books hold what only a child has */
							if :: c -> todo[j] = 1; want[j] = GEN(c) :: else fi
						:: else
						fi;
						j++
					:: else -> break
					od;
					u++
				:: else -> break
				od;
				i++
			:: else -> break
			od;
			d++
		:: else -> break
		od
	}
}

/* ── a compaction (compact.c): some files go, their windows come back in one new file or in one each, as they were ── */

#define MINE(f, w) mine[(f) * W + (w)]
#define MOVES(f) (MINE(f, 0) != 0 || MINE(f, 1) != 0)

proctype Compactor() {
	byte mine[F * W]; /* the files that are to go, as they were seen */
	byte t, base, tries;
	bit apart, again;

begin:  atomic {
		if :: t = ASIDE :: t = MAIN :: HAS_CHILD -> t = CHILD fi;
		if :: apart = 0 :: apart = 1 fi;
		again = 0
	};
look:   atomic {
		d_step {
			hit = 0; i = 0;
			do :: i < F * W -> mine[i] = cell[t * F * W + i]; i++ :: else -> break od;
			i = 0;
			do :: i < F -> hit = hit + (MOVES(i) -> 1 : 0); i++ :: else -> break od;
			base = version[t]
		};
		/* Which: both, or one of two. A file of one window that is written again stands for one that is merged with
		 * windows that are not here. */
		if
		:: hit == 2 -> d_step { r = 0; do :: MOVES(r) -> break :: else -> r++ od; MINE(r, 0) = 0; MINE(r, 1) = 0 }
		:: hit == 2 -> d_step { r = F - 1; do :: MOVES(r) -> break :: else -> r-- od; MINE(r, 0) = 0; MINE(r, 1) = 0 }
		:: hit > 0
		:: hit == 0 -> hit = 0; goto done
		:: true -> hit = 0; goto done                                    /* died, or was stopped */
		fi;
		hit = 0
	};
	/* The files are written; then the commit. */
commit: skip;
	atomic {
		if
		:: made[t] + 1 + apart > F -> goto done
		:: true -> goto done                                             /* died */
		:: made[t] + 1 + apart <= F
		fi;
		if
		:: version[t] == base ->
			d_step {
				i = 0;
				do :: i < W -> find(t, i, before[i]); i++ :: else -> break od;
				i = 0;
				do
				:: i < F ->
					if
#ifdef MUTANT_COMPACT_KEEPS
					:: false
#else
					:: MOVES(i) -> j = 0; do :: j < W -> AT(t, i, j) = 0; j++ :: else -> break od
#endif
					:: else
					fi;
					i++
				:: else -> break
				od;
				i = 0;
				do
				:: i < F ->
					j = 0;
					do
					:: j < W ->
						if :: MINE(i, j) -> AT(t, made[t] + (apart -> j : 0), j) = MINE(i, j) :: else fi;
						j++
					:: else -> break
					od;
					i++
				:: else -> break
				od;
				made[t] = made[t] + 1 + apart;
				version[t]++
			};
			printf("| compaction %d makes version %d of table %d (the last is main), apart %d\n", _pid, version[t], t, apart);
			d_step {
				i = 0;
				do
				:: i < W -> find(t, i, c); rule(compact_moves_only, c == before[i]); i++
				:: else -> break
				od
			};
			check(t);
#ifdef REACH_COMPACT_AGAIN
			assert(!again);
#endif
#ifdef REACH_COMPACT_ON_TOP
			assert(tries < 2);
#endif
			goto done
		:: else
		fi
	};
	/* judge_winners: of files that move, all must be there, under the tags that we saw. */
	atomic {
		d_step {
			hit = 0; i = 0;
			do
			:: i < F * W ->
#ifdef MUTANT_COMPACT_TAGS_UNCHECKED
				if :: mine[i] != 0 && cell[t * F * W + i] == 0 -> hit = 1 :: else fi;
#else
				if :: MOVES(i / W) && !SAME_TAG(mine[i], cell[t * F * W + i]) -> hit = 1 :: else fi;
#endif
				i++
			:: else -> break
			od
		};
#ifdef MUTANT_COMPACT_UNCHECKED
		hit = 0;
#endif
		printf("| compaction %d finds version %d of table %d taken: again %d\n", _pid, base + 1, t, hit);
		if
		:: hit -> hit = 0; again = 1; goto look
		:: else -> base = version[t]; tries = 2; goto commit             /* on top */
		fi
	};

done:   atomic {
		d_step { i = 0; do :: i < F * W -> mine[i] = 0; i++ :: else -> break od; i = 0 };
		t = 0; base = 0; apart = 0; again = 0; tries = 0;
		if
		:: compacts > 0 -> compacts--; goto rest
		:: else -> goto end
		fi
	};
rest:   skip;
	goto begin;
end:    skip
}

proctype Runner(byte me; bit last) {
	byte pin[T * F * W], base[T];
	byte plan[W], want[W];
	bit todo[W], same[W];
	byte t, verdict, tries;
	bit tagging, again, pair;

	/* The plan: tables first, Raw afterwards. */
begin:  atomic {
		load(MAIN);
#ifdef SLOW_PLAN
	};
	atomic {
#endif
		load(ASIDE);
#ifdef SLOW_PLAN
	};
	atomic {
#endif
		if :: HAS_CHILD -> load(CHILD) :: else fi;
		plan[0] = 0; plan[1] = 0;
		if                                                /* which windows the run is about, fetched again or not */
		:: last -> plan[0] = promoted[0]; plan[1] = promoted[1]
		:: !last && promoted[0] < GENS -> promoted[0]++; plan[0] = promoted[0]
		:: !last && promoted[1] < GENS -> promoted[1]++; plan[1] = promoted[1]
		:: !last && promoted[0] < GENS && promoted[1] < GENS ->
			promoted[0]++; promoted[1]++; plan[0] = promoted[0]; plan[1] = promoted[1]
		:: !last -> plan[0] = promoted[0]; plan[1] = promoted[1]
		fi;
		printf("| run %d plans generations %d %d\n", _pid, plan[0], plan[1]);
		again = 0
	};

	/* split_windows: prepared, the same content again, to be built. */
split:  atomic {
		hit = 0; tagging = 0; pair = 0;
		d_step {
			r = 0;
			do
			:: r < W ->
				todo[r] = 0; same[r] = 0; want[r] = plan[r];
				if
				:: plan[r] ->
					find_pinned(MAIN, r, c);
					found = 1; rows = 0; u = 0; /* found: all carry its key; rows: one has a newer generation */
					do
					:: u < T ->
						find_pinned(u, r, d);
#ifdef MUTANT_DONE_BY_MAIN
						if :: u == MAIN && KEY(d) != CONTENT(plan[r]) -> found = 0 :: else fi;
#else
#ifdef MUTANT_ANY_CHILD
						if :: (HAS_CHILD && u == CHILD -> d == 0 : KEY(d) != CONTENT(plan[r])) -> found = 0 :: else fi;
#else
						if :: KEY(d) != CONTENT(plan[r]) -> found = 0 :: else fi;
#endif
#endif
						if :: GEN(d) > plan[r] -> rows = 1 :: else fi;
						u++
					:: else -> break
					od;
					if
					:: found ->
#ifdef MUTANT_STALE_PLAN
						if :: GEN(c) != plan[r] -> same[r] = 1; tagging = 1 :: else fi
#else
						if :: GEN(c) < plan[r] -> same[r] = 1; tagging = 1 :: else fi
#endif
					:: else -> todo[r] = 1; pair = 1;
#ifndef MUTANT_STALE_PLAN
						/* built on a version newer than the plan: another run may have published a newer fetch */
						if :: rows -> hit = 1 :: else fi
#endif
					fi
				:: else
				fi;
				r++
			:: else -> break
			od
		};
		if
		:: hit -> hit = 0; goto stop                                     /* exit 5 */
		:: !hit && tagging -> t = 0; goto commit
		:: !hit && !tagging && pair -> goto build
		:: else -> goto stop                                             /* nothing to do */
		fi
	};

build:  atomic {
		tagging = 0;
		close_over();
#ifdef MUTANT_MAIN_FIRST
		t = MAIN;
#else
#ifdef MUTANT_CHILD_LAST
		t = ASIDE;
#else
		t = 0;
#endif
#endif
		goto commit
	};

commit: skip;
	atomic {
		d_step {
			/* nothing to tag in this table */
			hit = 0; i = 0;
			do
			:: i < F * W -> if :: tagging && pin[t * F * W + i] && same[i % W] && GEN(pin[t * F * W + i]) != want[i % W] -> hit = 1 :: else fi; i++
			:: else -> break
			od
		};
		if
		:: tagging && !hit -> goto committed
		:: else -> hit = 0
		fi;
		if
		:: made[t] >= F -> no_room = 1; goto stop
		:: else
		fi;
		if
		:: version[t] == base[t] ->
			rule(version_follows, version[t] == base[t]);
			apply(t);
			printf("| run %d commits version %d of table %d (the last is main), tags only %d: windows %d %d of generations %d %d\n", _pid,
				version[t], t, tagging, todo[0] | same[0], todo[1] | same[1], want[0], want[1]);
			check(t); watch();
			verdict = ALREADY_DONE; again = 1      /* committed */
		:: else -> again = 0
		fi
	};
	atomic {
		if
		:: again -> again = 0
		:: else -> judge(t); printf("| run %d finds version %d of table %d taken: verdict %d\n", _pid, base[t] + 1, t, verdict)
		fi;
		if
		:: verdict == ADD_ON_TOP -> base[t] = version[t]; verdict = 0; goto commit
		:: verdict == LOST -> goto stop
		:: verdict == ALREADY_DONE ->
			load(t);
			if :: t == MAIN && !tagging -> published() :: else fi
		:: verdict == BUILD_AGAIN -> verdict = 0; goto reload
		fi;
		verdict = 0
	};
committed:
	atomic {
		if
		:: !last -> goto stop                                             /* died, or was stopped */
#ifdef MUTANT_MAIN_FIRST
		:: !tagging && t == MAIN -> t = 0; goto commit
		:: !tagging && t < ASIDE -> t++; goto commit
		:: !tagging && t == ASIDE -> goto look_again
		:: tagging && t < MAIN -> t++; goto commit
#else
#ifdef MUTANT_CHILD_LAST
		:: !tagging && t == ASIDE -> t = MAIN; goto commit
		:: !tagging && t == MAIN -> t = CHILD; goto commit
		:: !tagging && t == CHILD -> goto look_again
		:: tagging && t < MAIN -> t++; goto commit
#else
		:: t < MAIN -> t++; goto commit
		:: !tagging && t == MAIN -> goto look_again
#endif
#endif
		:: tagging && t == MAIN && !pair -> goto stop
#ifdef MUTANT_STALE_PLAN
		:: tagging && t == MAIN && pair -> goto build
#else
		:: tagging && t == MAIN && pair -> goto reload                    /* what was seen since is newer than the plan */
#endif
		fi
	};

	/* tags_agree: the tables before the main one once more. */
look_again: atomic {
		d_step {
			hit = 1; i = 0;
#ifndef MUTANT_NO_LOOK_AGAIN
			do
#ifdef MUTANT_CHILD_NOT_LOOKED_AT
			:: i < W ->
				find(ASIDE, i, c);
				if :: todo[i] && KEY(c) != CONTENT(want[i]) -> hit = 0 :: else fi;
				i++
#else
			:: i < MAIN * W ->
				find(i / W, i % W, c);
				if :: todo[i % W] && KEY(c) != CONTENT(want[i % W]) -> hit = 0 :: else fi;
				i++
#endif
			:: else -> break
			od
#endif
		};
		if
		:: hit -> rule(done_means_all, all_[me]); hit = 0                /* exit 0 */
		:: else                                                          /* exit 5 */
		fi;
		goto stop
	};

reload: printf("| run %d builds again\n", _pid);
	atomic { load(MAIN) };
	atomic { load(ASIDE); if :: HAS_CHILD -> load(CHILD) :: else fi; goto split };

stop:   atomic {
		d_step {
			i = 0; do :: i < T * F * W -> pin[i] = 0; i++ :: else -> break od;
			i = 0; do :: i < T -> base[i] = 0; i++ :: else -> break od; i = 0
		};
		t = 0; verdict = 0; tagging = 0; again = 0; pair = 0;
		plan[0] = 0; plan[1] = 0; want[0] = 0; want[1] = 0; todo[0] = 0; todo[1] = 0; same[0] = 0; same[1] = 0;
		waiting[me] = 0; all_[me] = 0; ours_[me * W] = 0; ours_[me * W + 1] = 0;
		if
		:: !last && runs > 0 -> runs--; goto rest
		:: goto done
		fi
	};
rest:   skip;
	goto begin;
done:   skip
}

init {
	atomic {
		promoted[0] = 1; promoted[1] = 1;
		same_content = SAME;
		if :: BAD < 8 -> bad = BAD :: BAD == 8 -> bad = 0 :: BAD == 8 -> bad = 2 :: BAD == 8 -> bad = 4 fi;
		if
		:: LAYOUT == 1 ->
			i = 0;
			do
			:: i < T -> AT(i, 0, 0) = CELL(1, 1, ROWS(i, 1)); AT(i, 0, 1) = AT(i, 0, 0); made[i] = 1; i++
			:: else -> break
			od
		:: LAYOUT == 2 ->
			i = 0;
			do
			:: i < T -> AT(i, 0, 0) = CELL(1, 1, ROWS(i, 1)); AT(i, 1, 1) = AT(i, 0, 0); made[i] = 2; i++
			:: else -> break
			od
		:: else
		fi;
		i = 0;
		do :: LAYOUT > 0 && i < MAIN * W -> ever[i] = 2; i++ :: else -> break od;
		i = 0;
		run Runner(0, 0);
		if :: RUNNERS > 1 -> run Runner(1, 0) :: else fi;
		if :: RUNNERS > 2 -> run Runner(2, 0) :: else fi;
		if :: COMPACTS > 0 -> compacts--; run Compactor() :: else fi
	};
	/* When all is quiet, one more run finds every window done or makes it so. */
	(_nr_pr == 1);
	atomic { if :: no_room :: else -> run Runner(RUNNERS, 1) fi };
	(_nr_pr == 1);
	d_step {
		i = 0;
		do
		:: i < T * W && !no_room ->
			find(MAIN, i % W, c); find(i / W, i % W, d);
			rule(heals, GEN(c) == promoted[i % W] && KEY(c) == CONTENT(promoted[i % W]) && KEY(d) == KEY(c));
			i++
		:: else -> break
		od
#ifdef REACH_END
		; assert(no_room)
#endif
	}
}
