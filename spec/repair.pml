/* The repair of a table's log (table.md), for SPIN: it is cut at its first bad version, passes every number that readers have seen,
 * goes on under another id, and is made again. A repair may die at any step, and another one comes; between them runs try to go on.
 *
 *     spin -a repair.pml; cc -O2 -DSAFETY -o pan pan.c; ./pan
 *
 * The steps are those of src/run/repair.c (cut_log, find_mark) and publish_commit.c (pass_seen, publish_repaired). Nothing
 * runs beside a repair: it demands that, since a log that was cut fences nobody.
 *
 * `rule NAME`: test/spec/audit.py holds the calls of the real program against rules of the same names. */

#ifndef N
#define N 3            /* versions at first; version v brought window v % 2 */
#endif
#ifndef REPAIRS
#define REPAIRS 3      /* that may die; one more does not */
#endif
#ifndef RUNS
#define RUNS 2
#endif
#ifndef HURTS
#define HURTS 2        /* how often the log may be damaged, also what a repair made */
#endif

#define ALL 3
#define OLD 1          /* ids: each mark has another one, and so has a version 0 that only passes a number */
#define HELD(n) ((n) == 0 -> 0 : ((n) == 1 -> 1 : ALL))

mtype = { cut_in_order, renewed_after_cut, whole_again };
#define rule(name, holds) if :: holds :: else -> printf("broken: "); printm(name); printf("\n"); assert(false) fi

/* The log: as long, good up to, whose rows are in its good versions, its id. What a version had before it is kept by number. */
byte n = N, good = N, rows = ALL, id = OLD;
byte had[16], named[16];   /* rows and id behind that many versions */
byte mark, mark_id;        /* 0: none, else the number that was seen, plus 1 */
byte copied;               /* the highest number in damaged/, plus 1 */
byte next_id = OLD + 1;
byte runs = RUNS, hurts = HURTS;

/* Ghosts. */
byte seen = N;             /* as many numbers has a reader seen with something in them */
bit cut_open;              /* versions went since the table was whole */
byte before_id;

hidden byte i;

inline commit(rows_, id_) {
	n++; good = n; rows = rows_; id = id_;
	had[n] = rows; named[n] = id
}

proctype Repair(bit last) {
	byte to;
	bit again;

	/* What is to be done; nothing, if the log is good and nobody left a mark. */
	if
	:: good == n && mark == 0 -> goto end
	:: else
	fi;
	atomic {
		to = (n > copied -> n : copied);
#ifndef MUTANT_NUMBER_OF_THE_LOG
		if :: mark > to || (mark && good == n) -> to = mark :: else fi;
#else
		to = n;
#endif
	};
#ifndef MUTANT_MARK_LATE
	atomic {
		if
		:: mark == to
		:: else -> mark = to; mark_id = next_id; next_id++
		fi;
		printf("| repair %d: mark %d, id %d, the log is good up to %d of %d\n", _pid, mark, mark_id, good, n)
	};
#endif
	if :: !last -> goto end :: true fi;

	/* The newest first, each copied before. */
	do
	:: n > good ->
		atomic {
			rule(cut_in_order, mark >= n);
			if :: n > copied -> copied = n :: else fi;
			if :: cut_open == 0 -> before_id = named[n] :: else fi;
			n--; cut_open = 1; rows = had[good]; id = named[good];
			printf("| repair %d cuts version %d\n", _pid, n)
		};
		if :: !last -> goto end :: true fi
	:: else -> break
	od;
#ifdef MUTANT_MARK_LATE
	atomic { if :: mark == to :: else -> mark = to; mark_id = next_id; next_id++ fi };
	if :: !last -> goto end :: true fi;
#endif
	again = !(id == mark_id && n > mark); /* or an earlier repair came so far */

#ifndef MUTANT_NO_PASS
	do
	:: again && n < mark ->
		atomic {
			if :: n == 0 -> commit(rows, next_id); next_id++ :: else -> commit(rows, id) fi;
			printf("| repair %d passes version %d\n", _pid, n - 1)
		};
		if :: !last -> goto end :: true fi
	:: else -> break
	od;
#endif
	/* What is made again comes in one commit, or behind one of tags. */
	if
	:: again && rows != ALL -> atomic { rule(renewed_after_cut, n >= seen); commit(rows, mark_id); seen = n };
#ifdef MUTANT_UNMARK_EARLY
		mark = 0;
#endif
		if :: !last -> goto end :: true fi;
		again = 0
	:: true
	fi;
	if
	:: again || rows != ALL ->
		atomic {
			rule(renewed_after_cut, n >= seen && mark_id != before_id);
			commit(ALL, mark_id); seen = n;
			printf("| repair %d makes version %d, all of it\n", _pid, n - 1)
		};
		if :: !last -> goto end :: true fi
	:: else
	fi;
	mark = 0;
end:    atomic {
		if :: good == n && mark == 0 && !cut_open -> skip
		:: good == n && mark == 0 && cut_open ->
			rule(whole_again, rows == ALL);
			rule(renewed_after_cut, id != before_id && n >= seen);
			cut_open = 0
		:: else
		fi
	}
}

/* A run finds one window to be made again, the other one, or looks only. */
inline plain_run() {
	atomic {
		if
		:: good < n -> printf("| a run refuses: damaged\n")
#ifndef MUTANT_RUN_BLIND
		:: good == n && mark -> printf("| a run refuses: the repair was cut off\n")
#endif
		:: else ->
			rule(whole_again, rows == ALL);
			rule(renewed_after_cut, !cut_open);
			if
			:: n < 10 -> commit(rows, id); seen = n; printf("| a run makes version %d\n", n - 1)
			:: true
			fi
		fi
	}
}

inline hurt() {
	atomic {
		i = 0;
		do :: i < n - 1 -> i++ :: true -> break od;
		if :: i < good -> good = i :: else fi;
		hurts--;
		printf("| version %d is damaged\n", i)
	}
}

init {
	byte repairs = REPAIRS;
	atomic {
		i = 0;
		do :: i <= N -> had[i] = HELD(i); named[i] = (i -> OLD : 0); i++ :: else -> break od
	};
	do
	:: repairs > 0 -> repairs--; run Repair(0); (_nr_pr == 1)
	:: runs > 0 -> runs--; plain_run()
	:: hurts > 0 && n > 0 -> hurt()
	:: break
	od;
	run Repair(1);
	(_nr_pr == 1);
	rule(whole_again, good == n && mark == 0 && rows == ALL);
	plain_run()
#ifdef REACH_END
	; assert(false)
#endif
}
