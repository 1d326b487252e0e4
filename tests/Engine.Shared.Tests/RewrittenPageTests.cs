// Code that is patched in place, as kernels do with their own: what runs afterwards is what was stored, and what stores cost.
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class RewrittenPageTests
{
    // A page of functions, MOV EAX, imm32; RET, a call and a store each so many bytes.
    private const uint Functions = 0x5_0000, CallStride = 256, StoreStride = 8, Calls = 4096 / CallStride, Stores = 4096 / StoreStride;
    private const byte MovEax = 0xB8, Return = 0xC3;

    [Theory]
    [InlineData("write")]
    [InlineData("commit")]
    public void A_page_of_code_that_is_patched_from_end_to_end_is_stored_to_in_place(string exits)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);
        const int rounds = 40;
        var program = Rounds(rounds, callEach: false);

        program.Check(machine, program.Run(machine));

        Assert.InRange(machine.Count("vcpu_exits", exits), 1, rounds * (2 * (int)Calls));
    }

    public static TheoryData<string> Engines => [.. EngineKind.All];

    [Theory]
    [MemberData(nameof(Engines))]
    public void Each_call_runs_what_was_stored_last(string engine)
    {
        using var machine = new SmallMachine(engine);
        var program = Rounds(4, callEach: true);

        program.Check(machine, program.Run(machine));
    }

    // A loop in the page that it stores to: the last store of each turn changes the instruction that comes next.
    [Theory]
    [MemberData(nameof(Engines))]
    public void What_a_block_stores_into_its_own_page_it_runs_next(string engine)
    {
        using var machine = new SmallMachine(engine);
        const int turns = 1000;
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(edi, Functions);
            c.xor(ebx, ebx);
            c.mov(ecx, turns);
            c.call(rdi);
        }, (_, state) => Assert.Equal(turns * (turns + 1) / 2ul, state.Gpr[GprIndex.Rbx]))
        {
            Prepare = machine => machine.Load(Functions,
            [
                0x89, 0x8F, 0x00, 0x08, 0x00, 0x00,     // mov [rdi+800h], ecx: beside the code
                0x89, 0x8F, 0x04, 0x08, 0x00, 0x00,     // mov [rdi+804h], ecx
                0x89, 0x4F, 0x11,                       // mov [rdi+11h], ecx: the next one's operand
                0x90, 0xB8, 0, 0, 0, 0,                 // nop; mov eax, imm32
                0x01, 0xC3,                             // add ebx, eax
                0xFF, 0xC9,                             // dec ecx
                0x75, 0xE5,                             // jnz to the first
                Return,
            ]),
        };

        program.Check(machine, program.Run(machine));
    }

    // Each round stores another value all over the page, and calls the functions, each behind its store or all behind the last one.
    private static GuestProgram Rounds(int rounds, bool callEach) => new(GuestMode.Long, c =>
    {
        var (round, store, noFunction, call) = (c.CreateLabel(), c.CreateLabel(), c.CreateLabel(), c.CreateLabel());
        c.xor(ebx, ebx);
        c.mov(ebp, rounds);
        c.Label(ref round);
        c.mov(edi, Functions);
        c.mov(ecx, Stores);
        c.Label(ref store);
        c.lea(edx, __[rcx + rbp]);
        c.mov(__dword_ptr[rdi + 1], edx);
        if (callEach)
        {
            c.test(edi, CallStride - 1);
            c.jnz(noFunction);
            c.call(rdi);
            c.add(rbx, rax);
            c.Label(ref noFunction);
        }
        c.add(edi, StoreStride);
        c.dec(ecx);
        c.jnz(store);
        if (!callEach)
        {
            c.mov(edi, Functions);
            c.mov(ecx, Calls);
            c.Label(ref call);
            c.call(rdi);
            c.add(rbx, rax);
            c.add(edi, CallStride);
            c.dec(ecx);
            c.jnz(call);
        }
        c.nop();
        c.dec(ebp);
        c.jnz(round);
    }, (_, state) => Assert.Equal(Sum(rounds), state.Gpr[GprIndex.Rbx]))
    {
        Prepare = machine =>
        {
            var page = new byte[4096];
            for (var at = 0u; at < page.Length; at += CallStride) (page[at], page[at + 5]) = (MovEax, Return);
            machine.Load(Functions, page);
        },
    };

    private static ulong Sum(int rounds)
    {
        var sum = 0ul;
        for (var round = 1u; round <= rounds; round++)
            for (var at = 0u; at < 4096; at += CallStride) sum += Stores - at / StoreStride + round;
        return sum;
    }
}
