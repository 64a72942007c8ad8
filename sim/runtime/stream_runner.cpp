// Drives the streams of a verilated circuit: offers beats, takes payloads, and checks that the
// circuit keeps to the rules, all in one call. sim/stream_runner.py says what the rules are.
#include <cstdint>
#include <cstring>
#include <vector>

#include "Vdesign.h"
#include "ports.h"

double sc_time_stamp() { return 0; }

#define ASSAY_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// SplitMix64 (Steele, Lea and Flood 2014): as good as is needed, and any seed will do.
class Random {
    uint64_t state;

  public:
    explicit Random(uint64_t seed) : state{seed} {}
    uint64_t next() {
        uint64_t mixed = state += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }
};

enum Pattern : uint32_t { FLOWING, RANDOM, BURSTS };

// Whether an end of a stream is active, cycle by cycle.
class Activity {
    static constexpr uint64_t ONE_IN_TEN = UINT64_MAX / 10;
    Pattern pattern;
    Random random;
    uint64_t bits = 0;
    unsigned bits_left = 0;
    bool active = true;

  public:
    Activity(uint32_t pattern, uint64_t seed) : pattern{Pattern(pattern)}, random{seed} {}
    bool next() {
        switch (pattern) {
        case FLOWING: return true;
        case RANDOM:
            if (bits_left == 0) {
                bits = random.next();
                bits_left = 64;
            }
            return bits >> --bits_left & 1;
        case BURSTS: {
            const bool now = active;
            // A change with p = 0.1 after each cycle makes the lengths geometric.
            if (random.next() < ONE_IN_TEN) active = !active;
            return now;
        }
        }
        return true;
    }
};

// One end of a stream, as Python hands it over. Ports are numbers in the order of ports.h.
struct Stream {
    uint32_t payload, valid;
    int32_t ready;     // -1: the stream has none, and a beat is always taken
    uint32_t pattern;
    uint64_t seed;
    uint64_t bits;     // of the payload
    int64_t count;     // beats to offer; payloads to expect, or -1: not known
    const uint8_t* rows;  // of a source: (count, bytes of the payload)
};

// Why a run ended, and where.
enum Status : int32_t { DONE, HANGS, VALID_FELL, PAYLOAD_CHANGED, TOO_MANY };

struct Outcome {
    int32_t status;
    uint32_t sink;
    uint64_t cycles;
};

struct Transfers {
    std::vector<uint8_t> payloads;
    std::vector<uint64_t> cycles;
};

struct Port {
    uint8_t* data;
    size_t size;
};

// What source and sink have in common: where the ports are, and what has been transferred.
struct End {
    uint8_t* payload;
    CData* valid;
    CData* ready;
    size_t bytes;
    uint8_t last_mask;  // of the payload's last byte: the bits that it has
    Activity activity;
    Transfers* done;

    End(const Stream& stream, const std::vector<Port>& ports, Transfers* done)
        : payload{ports[stream.payload].data}, valid{ports[stream.valid].data},
          ready{stream.ready < 0 ? nullptr : ports[stream.ready].data},
          bytes{size_t(stream.bits + 7) / 8},
          last_mask{uint8_t(0xff >> (8 * bytes - stream.bits))},
          activity{stream.pattern, stream.seed}, done{done} {}
};

class Source : End {
    const uint8_t* rows;
    uint64_t count;
    uint64_t taken = 0;
    bool offering = false;
    bool in_pause = false;

    // Offers nothing: the payload is then the worst it could be, the last one inverted.
    void pause() {
        *valid = 0;
        const uint8_t* last = taken ? rows + (taken - 1) * bytes : count ? rows : nullptr;
        for (size_t index = 0; index < bytes; ++index) payload[index] = last ? ~last[index] : 0xff;
        payload[bytes - 1] &= last_mask;
        in_pause = true;
    }

  public:
    Source(const Stream& stream, const std::vector<Port>& ports, Transfers* done)
        : End{stream, ports, done}, rows{stream.rows}, count{uint64_t(stream.count)} {}
    void drive() {
        const bool active = activity.next();
        if (offering) return;
        if (active && taken < count) {
            std::memcpy(payload, rows + taken * bytes, bytes);
            *valid = 1;
            offering = true;
            in_pause = false;
        } else if (!in_pause) {
            pause();
        }
    }
    // Whether anything was going on.
    bool sample(uint64_t cycle) {
        if (!offering) return false;
        if (!ready || *ready) {
            done->cycles.push_back(cycle);
            ++taken;
            offering = false;
        }
        return true;
    }
    bool finished() const { return taken == count; }
    void stop() { pause(); }
};

class Sink : End {
    int64_t expected;
    uint64_t received = 0;
    bool waiting = false;
    std::vector<uint8_t> offered;

  public:
    Sink(const Stream& stream, const std::vector<Port>& ports, Transfers* done)
        : End{stream, ports, done}, expected{stream.count}, offered(bytes) {}
    void drive() {
        const bool active = activity.next();
        if (ready) *ready = active;
    }
    Status sample(uint64_t cycle, bool& busy) {
        if (!*valid) return waiting ? VALID_FELL : DONE;
        busy = true;
        if (waiting && std::memcmp(offered.data(), payload, bytes) != 0) return PAYLOAD_CHANGED;
        waiting = ready && !*ready;
        if (waiting) {
            std::memcpy(offered.data(), payload, bytes);
            return DONE;
        }
        if (int64_t(received) == expected) return TOO_MANY;
        ++received;
        done->payloads.insert(done->payloads.end(), payload, payload + bytes);
        done->cycles.push_back(cycle);
        return DONE;
    }
    bool finished() const { return expected < 0 || int64_t(received) == expected; }
    void stop() {
        if (ready) *ready = 0;
    }
};

struct Runner {
    Vdesign model;
    std::vector<Port> ports;
    std::vector<Transfers> transfers;  // of the last run: of its sources, then of its sinks

    Runner() {
#define ASSAY_PORT(port) \
    ports.push_back({reinterpret_cast<uint8_t*>(&model.port), sizeof(model.port)});
        ASSAY_INPUTS(ASSAY_PORT)
        ASSAY_OUTPUTS(ASSAY_PORT)
#undef ASSAY_PORT
        settle();
    }
    ~Runner() { model.final(); }
    // Outputs follow the inputs; then the registers see both.
    void settle() {
        model.clk = 0;
        model.eval();
    }
    void edge() {
        model.clk = 1;
        model.eval();
    }
    Outcome run(const Stream* streams, uint32_t sources, uint32_t sinks, bool until_idle,
                uint64_t idle, uint64_t limit);
};

Outcome Runner::run(const Stream* streams, uint32_t sources, uint32_t sinks, bool until_idle,
                    uint64_t idle, uint64_t limit) {
    transfers.assign(sources + sinks, {});
    std::vector<Source> givers;
    std::vector<Sink> takers;
    for (uint32_t index = 0; index < sources; ++index)
        givers.emplace_back(streams[index], ports, &transfers[index]);
    for (uint32_t index = sources; index < sources + sinks; ++index)
        takers.emplace_back(streams[index], ports, &transfers[index]);
    const auto finished = [&] {
        for (const Source& source : givers)
            if (!source.finished()) return false;
        for (const Sink& sink : takers)
            if (!sink.finished()) return false;
        return true;
    };
    Outcome outcome{DONE, 0, 0};
    uint64_t quiet = 0;
    while (!finished() || (until_idle && quiet < idle)) {
        if (outcome.cycles == limit) {
            outcome.status = HANGS;
            break;
        }
        for (Source& source : givers) source.drive();
        for (Sink& sink : takers) sink.drive();
        settle();
        bool busy = false;
        for (Source& source : givers) busy |= source.sample(outcome.cycles);
        for (uint32_t index = 0; index < sinks && outcome.status == DONE; ++index) {
            outcome.status = takers[index].sample(outcome.cycles, busy);
            outcome.sink = index;
        }
        if (outcome.status != DONE) break;
        edge();
        quiet = busy ? 0 : quiet + 1;
        ++outcome.cycles;
    }
    for (Source& source : givers) source.stop();
    for (Sink& sink : takers) sink.stop();
    settle();
    return outcome;
}

}  // namespace

ASSAY_EXPORT Runner* assay_create() { return new Runner; }
ASSAY_EXPORT void assay_destroy(Runner* runner) { delete runner; }

// bytes: little-endian, no more of them than the port has.
ASSAY_EXPORT void assay_write(Runner* runner, uint32_t port, const uint8_t* bytes, uint64_t count) {
    std::memcpy(runner->ports[port].data, bytes, count);
}

ASSAY_EXPORT void assay_read(Runner* runner, uint32_t port, uint8_t* bytes, uint64_t count) {
    runner->settle();
    std::memcpy(bytes, runner->ports[port].data, count);
}

ASSAY_EXPORT void assay_tick(Runner* runner, uint64_t cycles) {
    for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
        runner->settle();
        runner->edge();
    }
}

// streams: the sources, then the sinks.
ASSAY_EXPORT Outcome assay_run(Runner* runner, const Stream* streams, uint32_t sources,
                               uint32_t sinks, int32_t until_idle, uint64_t idle, uint64_t limit) {
    return runner->run(streams, sources, sinks, until_idle, idle, limit);
}

// What stream number ``index`` of the last run transferred, and when.
ASSAY_EXPORT uint64_t assay_transfers(Runner* runner, uint32_t index, const uint8_t** payloads,
                                      const uint64_t** cycles) {
    const Transfers& found = runner->transfers[index];
    *payloads = found.payloads.data();
    *cycles = found.cycles.data();
    return found.cycles.size();
}
