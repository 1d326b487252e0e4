// Indirect branches to addresses that are not canonical fault where they stand: SDM vol. 2, JMP, CALL, RET. By every register, by memory, and
// by what lies on the stack; of a user and of a supervisor.
using Iced.Intel;
using Lamina.Core.Engine;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class BranchTargetTests
{
    private const int GeneralProtection = 13, Turns = 3;

    // Where to go on, the address that leads nowhere, and what the handler has seen: a count, and for each fault an error code, RIP, RFLAGS, RSP.
    private const uint GoOn = Layout.Data, Target = Layout.Data + 8, Count = Layout.Data + 16, Record = Layout.Data + 0x100, Top = Layout.UserStack + 0x800;
    private const uint NoteCount = Layout.Data + 24, TurnsLeft = Layout.Data + 32;

    private const ulong Arithmetic = 0x8d5, Overflown = 0x894;

    private static readonly TranslatorSettings s_settings = new() { CodeBufferBytes = 16 << 20 };

    private static readonly AssemblerRegister64[] s_registers = [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    /// <summary>A branch: what comes before it but not between the flags and it, and itself. RSP is <see cref="Top"/> before both.</summary>
    private sealed record Branch(string Name, Action<Assembler> Before, Action<Assembler> Itself);

    public static TheoryData<string, ulong, bool> Runs
    {
        get
        {
            var data = new TheoryData<string, ulong, bool>();
            ulong[] targets =
            [
                0x0000_8000_0000_0000, // bit 47 alone
                0x0001_0000_0000_8000, // as a canonical one that exists, but for bit 48
                0x4000_0000_0000_8000, // bit 62
                0x7fff_ffff_ffff_8000, // all but bit 63
                0x8000_0000_0000_8000, // bit 63 alone
                0xffff_7fff_ffff_8000, // the kernel's half without bit 47
                0xfffe_ffff_8100_0000, // without bit 48
            ];
            foreach (var user in (bool[])[true, false])
                foreach (var target in targets)
                    foreach (var engine in (string[])["default", "precise", "single", .. EngineKind.All.Where(EngineKind.IsKvm)]) data.Add(engine, target, user);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void A_branch_that_leads_nowhere_faults_at_itself_and_leaves_the_stack_pointer_and_the_flags(string engine, ulong target, bool user)
    {
        if (engine is "default" or "precise" or "single") EngineKind.SkipWhereOnlyKvmIsAsked();
        var branches = Branches(user).ToList();
        var places = new ulong[branches.Count * 2];
        using var machine = new SmallMachine(Engine(engine));
        var program = Program(branches, target, user, places);

        var state = program.Run(machine);

        Assert.Equal(0u, machine.Read<uint>(TurnsLeft));
        Assert.Equal((ulong)(places.Length * Turns), machine.Read<ulong>(Count));
        for (var n = 0; n < places.Length * Turns; n++)
        {
            var at = Record + (ulong)n * 32;
            var which = n % places.Length;
            var name = branches[which / 2].Name;
            var expected = (0ul, places[which], which % 2 == 0 ? Arithmetic : Overflown, name.EndsWith(" rsp", StringComparison.Ordinal) ? target : Top);
            var seen = (machine.Read<ulong>(at), machine.Read<ulong>(at + 8), machine.Read<ulong>(at + 16) & Arithmetic, machine.Read<ulong>(at + 24));
            Assert.True(expected == seen, $"{name} (turn {n / places.Length}, flags {which % 2}): {seen:x} and not {expected:x}");
        }
        program.Check(machine, state);
    }

    private static IEngine Engine(string name) => name switch
    {
        "default" => new TranslatorEngine(s_settings),
        "precise" => new TranslatorEngine(s_settings with { Precise = true }),
        "single" => new TranslatorEngine(s_settings with { Precise = true, SingleInstructionBlocks = true }),
        _ => EngineKind.Create(name),
    };

    private static IEnumerable<Branch> Branches(bool user)
    {
        var nothing = (Assembler _) => { };
        foreach (var register in s_registers)
        {
            yield return new($"jmp {register.Value}", c => c.mov(register, __qword_ptr[Target]), c => c.jmp(register));
            yield return new($"call {register.Value}", c => c.mov(register, __qword_ptr[Target]), c => c.call(register));
            yield return new($"jmp [{register.Value}]", c => c.mov(register, (ulong)Target - 0x40), c => c.jmp(__qword_ptr[register + 0x40]));
            yield return new($"call [{register.Value}]", c => c.mov(register, (ulong)Target - 0x40), c => c.call(__qword_ptr[register + 0x40]));
        }
        // The handler of a supervisor has no other stack.
        if (user) yield return new("jmp rsp", nothing, c => { c.mov(rsp, __qword_ptr[Target]); c.jmp(rsp); });
        yield return new("jmp [memory]", nothing, c => c.jmp(__qword_ptr[Target]));
        yield return new("call [memory]", nothing, c => c.call(__qword_ptr[Target]));
        yield return new("jmp [rsp]", OnStack(0), c => c.jmp(__qword_ptr[rsp]));
        yield return new("call [rsp]", OnStack(0), c => c.call(__qword_ptr[rsp]));
        yield return new("jmp [rsp+16]", OnStack(16), c => c.jmp(__qword_ptr[rsp + 16]));
        yield return new("call [rsp+16]", OnStack(16), c => c.call(__qword_ptr[rsp + 16]));
        yield return new("call [rsp-8]", OnStack(-8), c => c.call(__qword_ptr[rsp - 8]));
        yield return new("ret", OnStack(0), c => c.ret());
        yield return new("ret 24", OnStack(0), c => c.ret(24));
        // With the note of a call for just this place on the stack, which says something else.
        yield return new("ret from a call", c => NoteAt(c, Top), c => c.ret());
    }

    private static Action<Assembler> OnStack(int offset) => c =>
    {
        c.mov(rax, __qword_ptr[Target]);
        c.mov(__qword_ptr[Top + (uint)offset], rax);
    };

    // Calls a function that returns, so that its call filled the slot at an address; then what leads nowhere is there.
    private static void NoteAt(Assembler c, uint slot)
    {
        var function = c.CreateLabel();
        var behind = c.CreateLabel();
        c.mov(esp, slot + 8);
        c.call(function);
        c.jmp(behind);
        c.Label(ref function);
        c.inc(__qword_ptr[NoteCount]);
        c.ret();
        c.Label(ref behind);
        OnStack(0)(c);
    }

    private static GuestProgram Program(List<Branch> branches, ulong target, bool user, ulong[] places)
    {
        return new(user ? GuestMode.LongUser : GuestMode.Long, Write, (machine, _) => Assert.Equal(2u * Turns, machine.Read<uint>(NoteCount)))
        {
            NeedsHardware = true,
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                machine.Memory.TryWrite(Target, target);
                machine.Memory.TryWrite(TurnsLeft, (uint)Turns);
                machine.Load(Layout.Far64, Handler());
                FaultLog.SetGate64(machine, GeneralProtection, Layout.Far64);
                FindPlaces();
            },
        };

        void Write(Assembler c) => WriteWith(c, []);

        void WriteWith(Assembler c, List<Label> labels)
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            for (var n = 0; n < places.Length; n++)
            {
                var (branch, next) = (branches[n / 2], c.CreateLabel());
                c.lea(rax, __[next]);
                c.mov(__qword_ptr[GoOn], rax);
                branch.Before(c);
                c.mov(esp, Top);
                if (n % 2 == 0)
                {
                    c.push((int)Arithmetic | 2);
                    c.popfq();
                    // What was pushed may have been over what the branch reads.
                    if (branch.Name == "call [rsp-8]") Restore(c);
                }
                else
                {
                    // SF, OF, AF and PF.
                    c.mov(__dword_ptr[Layout.Data + 40], 0x7fff_ffff);
                    c.add(__dword_ptr[Layout.Data + 40], 1);
                }
                var here = c.CreateLabel();
                c.Label(ref here);
                labels.Add(here);
                branch.Itself(c);
                c.ud2();
                c.Label(ref next);
            }
            c.mov(esp, user ? Layout.UserStack : Layout.KernelStack);
            c.dec(__dword_ptr[TurnsLeft]);
            c.jnz(again);
        }

        // MOV changes no flags.
        static void Restore(Assembler c)
        {
            c.mov(rdx, __qword_ptr[Target]);
            c.mov(__qword_ptr[rsp - 8], rdx);
        }

        void FindPlaces()
        {
            var c = new Assembler(64);
            var labels = new List<Label>();
            WriteWith(c, labels);
            using var stream = new MemoryStream();
            var result = c.Assemble(new StreamCodeWriter(stream), Layout.Code, BlockEncoderOptions.ReturnNewInstructionOffsets);
            Assert.True(Layout.Code + (ulong)stream.Length < Layout.Handlers - 64, $"{stream.Length} bytes");
            for (var n = 0; n < places.Length; n++) places[n] = result.GetLabelRIP(labels[n]);
            // "jmp rsp" has an instruction before it that is a part of it.
            for (var n = 0; n < places.Length; n++)
                if (branches[n / 2].Name == "jmp rsp") places[n] += 8;
        }
    }

    private static byte[] Handler() => Modes.Assemble(64, Layout.Far64, c =>
    {
        c.push(rax);
        c.push(rbx);
        c.mov(rbx, __qword_ptr[Count]);
        c.shl(rbx, 5);
        for (var n = 0; n < 4; n++)
        {
            // Error code, RIP, (CS,) RFLAGS, RSP.
            c.mov(rax, __qword_ptr[rsp + 16 + (n < 2 ? n : n + 1) * 8]);
            c.mov(__qword_ptr[rbx + Record + n * 8], rax);
        }
        c.inc(__qword_ptr[Count]);
        c.mov(rax, __qword_ptr[GoOn]);
        c.mov(__qword_ptr[rsp + 24], rax);
        c.pop(rbx);
        c.pop(rax);
        c.add(rsp, 8);
        c.iretq();
    });
}
