// Two agents whose steps come by turns. They cannot be mixed by nesting, for the innermost `node` gets every step: each agent has
// a branch of its own, and the two tell each other by a map of plain values, which Jenkins writes down with the build.

// When the second agent stands, `body` runs on the first one, and each `secondAgent.turn` in it runs `work` once on the second. Work
// that has more to do than is waited for says so by `secondAgent.done`.
// When `body` ends, however it does, the second agent goes. When that one ends before, `body` hears of it at its next turn, by an
// error and not by `failFast`: so it ends by itself, with all that its own `finally` says, and what it holds is let go last.
// @param agent what `podTemplate` takes (`template`), and the namespace of its Pod
// @param meanwhile what the first agent does while it waits, with the seconds that went by since it did so last
def call(Map agent, Closure work, Closure body, Closure meanwhile) {
    Map turns = [stands: false, gone: false, over: false, asked: 0, doing: 0, done: 0]
    parallel(
        agent: {
            try {
                podTemplate(agent.template) {
                    onAgent(POD_LABEL, agent.namespace) {
                        turns.stands = true
                        serve(turns, work)
                    }
                }
            } finally {
                turns.gone = true
            }
        },
        turns: {
            try {
                await(turns, meanwhile)
                body.call(turns)
            } finally {
                turns.over = true
            }
        }
    )
}

// Has the second agent do its work once, and waits for the end of it.
void turn(Map turns, Closure meanwhile) {
    turns.asked = turns.asked + 1
    await(turns, meanwhile)
}

// Nobody waits any longer for the work that is under way.
void done(Map turns) {
    turns.done = turns.doing
}

// Until the second agent stands, and has done what it was asked for.
void await(Map turns, Closure meanwhile) {
    int waited = 0
    while (!turns.gone && !(turns.stands && turns.done == turns.asked)) {
        int before = waited
        waited = pause(waited)
        if (!turns.gone && !(turns.stands && turns.done == turns.asked)) {
            meanwhile.call(waited - before)
        }
    }
    if (turns.gone) {
        error('secondAgent: the second agent is gone; why stands above')
    }
}

void serve(Map turns, Closure work) {
    int waited = 0
    while (!turns.over) {
        if (turns.done == turns.asked) {
            waited = pause(waited)
        } else {
            turns.doing = turns.asked
            work.call(turns)
            done(turns)
            waited = 0
        }
    }
}

// Short while somebody looks on; a rollout that takes long is not worth a line of the log each second.
int pause(int waited) {
    int length = Math.min(1 + waited.intdiv(15), 5)
    sleep(time: length, unit: 'SECONDS')
    return waited + length
}
