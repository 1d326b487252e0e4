// However the host lets the GS base be changed, by which generated code goes from one region to another, a guest sees nothing of it: system
// calls, accesses that SMAP allows and forbids, and divisions by zero, on more threads than there are processors, until the host has taken
// the processor away from each of them some times. A way that this host has not is skipped.
using System.Globalization;
using Iced.Intel;
using Lamina.Backends.Time;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Engines.Translator;
using GsBaseChange = Lamina.Engines.Translator.Code.GsBaseChange;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class GsBaseTests
{
    // The second 2 MiB are for users, and so is what their page-directory entry says; the first are the supervisor's alone.
    private const uint UserCode = 0x20_0000, UserData = 0x28_0000, UserStack = 0x2f_0000;
    private const int DivideError = 0, PageFault = 14;
    private const ulong KernelData = 0x00CF_9300_0000_FFFF, SupervisorEntry = 0x83, Smap = 1 << 21, AlignmentFlag = 1 << 18, NoExecute = 1 << 11;
    private const int Calls = 3000, Switches = 3, MostRounds = 2000;

    // SDM vol. 2, CPUID: 7.0.EBX[0]; Linux, asm/hwcap2.h: HWCAP2_FSGSBASE.
    private const ulong HwcapFsGsBase = 2;

    public static TheoryData<string> Ways => [nameof(GsBaseChange.Kept), nameof(GsBaseChange.Lost), nameof(GsBaseChange.Asked)];

    [Theory]
    [MemberData(nameof(Ways))]
    public void A_guest_sees_nothing_of_the_way_on_threads_that_are_switched_between(string way)
    {
        var change = Enum.Parse<GsBaseChange>(way);
        SkipWhereItCannotBe(change);
        var failures = new List<string>();
        var threads = Enumerable.Range(0, Environment.ProcessorCount + 2).Select(_ => new Thread(() =>
        {
            try
            {
                RunUntilSwitched(change);
            }
            catch (Exception exception)
            {
                lock (failures) failures.Add(exception.Message);
            }
        })).ToList();

        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();

        Assert.Empty(failures);
    }

    // What is written to the port waits for another thread each time, so that this one is switched away from between two pieces of generated code.
    [Theory]
    [MemberData(nameof(Ways))]
    public void A_guest_goes_on_behind_an_access_to_a_device_that_its_thread_slept_in(string way)
    {
        const int Accesses = 200;
        var change = Enum.Parse<GsBaseChange>(way);
        SkipWhereItCannotBe(change);
        using SemaphoreSlim asked = new(0), answered = new(0);
        var other = new Thread(() =>
        {
            for (var i = 0; i < Accesses; i++)
            {
                asked.Wait();
                answered.Release();
            }
        });
        other.Start();
        using var machine = new SmallMachine(Engine(change));
        machine.Logged = _ =>
        {
            asked.Release();
            answered.Wait();
        };
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(ebx, Accesses);
            c.xor(r8d, r8d);
            c.Label(ref again);
            c.mov(__qword_ptr[Layout.Data], rbx);
            c.mov(al, bl);
            c.@out((byte)Layout.LogPort, al);
            c.add(r8, __qword_ptr[Layout.Data]);
            c.dec(ebx);
            c.jne(again);
        }, (after, state) =>
        {
            Assert.Equal(Accesses * (Accesses + 1ul) / 2, state.Gpr[8]);
            Assert.Equal(Enumerable.Range(1, Accesses).Reverse().Select(value => 1u << 28 ^ (byte)value), after.PortLog);
        });

        program.Check(machine, program.Run(machine));

        other.Join();
        // The base is looked at on the way back: a fault each time would be many times as dear. Some are the host's own doing.
        if (change == GsBaseChange.Lost) Assert.InRange(machine.Count("vcpu_gs_base_losses"), 0, Accesses / 2);
    }

    [Fact]
    public void Of_a_machine_whose_kernel_loses_the_base_so_many_CPUs_fit_into_the_addresses_and_one_more_is_refused()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        var engine = Engine(GsBaseChange.Lost);
        using var memory = new GuestMemory([new MemoryRange(0, Layout.RamSize)]);
        using var clock = new MachineClock();

        // Without the CPUs themselves: others test in this process, too.
        engine.CreateMachine(new EngineMachineOptions(memory, clock, 30)).Dispose();
        var refused = Assert.Throws<HostException>(() => engine.CreateMachine(new EngineMachineOptions(memory, clock, 31)));

        Assert.Contains("at most 30 CPUs on a host whose kernel does not know FSGSBASE", refused.Message, StringComparison.Ordinal);
    }

    private static TranslatorEngine Engine(GsBaseChange change) => new(new TranslatorSettings { CodeBufferBytes = 16 << 20, GsBase = change });

    private static void SkipWhereItCannotBe(GsBaseChange change)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        if (change == GsBaseChange.Kept) Assert.SkipUnless((ProcessAuxiliary.Hwcap2 & HwcapFsGsBase) != 0, "this host's kernel does not know FSGSBASE");
        if (change == GsBaseChange.Lost) Assert.SkipUnless(HostGsBase.Executes([0xf3, 0x48, 0x0f, 0xae, 0xc8]), "this host's processor refuses RDGSBASE");
    }

    // On a thread of its own. A round takes a part of a time slice.
    private static void RunUntilSwitched(GsBaseChange change)
    {
        using var machine = new SmallMachine(Engine(change));
        var until = InvoluntarySwitches() + Switches;
        for (var round = 0; round == 0 || InvoluntarySwitches() < until; round++)
        {
            Assert.True(round < MostRounds, "the host never takes the processor away");
            Program.Check(machine, Program.Run(machine));
        }
    }

    private static long InvoluntarySwitches() => long.Parse(
        File.ReadLines("/proc/thread-self/status").First(line => line.StartsWith("nonvoluntary_ctxt_switches:", StringComparison.Ordinal)).Split(':')[1], CultureInfo.InvariantCulture);

    private static GuestProgram Program { get; } = new(GuestMode.Long, c =>
    {
        LongPrograms.WriteMsr(c, 0xC000_0081, ((ulong)(Layout.UserCode32 & ~3 | 3) << 48) | ((ulong)Layout.Code64 << 32));
        LongPrograms.WriteMsr(c, 0xC000_0082, Layout.Far64);
        LongPrograms.WriteMsr(c, 0xC000_0084, 0x200 | AlignmentFlag);
        c.mov(eax, Layout.UserData);
        c.mov(ds, eax);
        c.mov(es, eax);
        c.mov(ebx, Calls);
        c.push(Layout.UserData);
        c.push((int)UserStack);
        c.push(0x0202);
        c.push(Layout.UserCode64);
        c.push((int)UserCode);
        c.iretq();
    }, (machine, state) =>
    {
        // Calls, divisions by zero, forbidden accesses, what the supervisor has read of the user's and the user of its own, and vectors.
        var expected = (Calls + 1ul, (ulong)Calls, (ulong)Calls, 3ul * Calls * (Calls + 1) / 2, (ulong)Calls, 5ul * Calls);
        Assert.Equal(expected, (state.Gpr[14], state.Gpr[13], state.Gpr[12], state.Gpr[8], machine.Read<ulong>(UserData + 8), (ulong)machine.Read<uint>(UserData + 16)));
    })
    {
        Adjust = state =>
        {
            state.Cr4 |= Smap;
            state.Efer |= NoExecute;
        },
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            machine.Memory.TryWrite(Layout.PageTables + 0x2000, SupervisorEntry);
            // SYSCALL's stack segment, which lies behind its code segment.
            machine.Memory.TryWrite(Layout.Gdt + Layout.Code64 + 8, KernelData);
            machine.Memory.TryWrite(UserData + 8, 0ul);
            Handle(machine, DivideError, Layout.Far32, c =>
            {
                // Behind DIV ECX.
                c.add(__qword_ptr[rsp], 2);
                c.inc(r13);
                c.iretq();
            });
            Handle(machine, PageFault, Layout.FarCompatibility, c =>
            {
                c.add(rsp, 8);
                c.mov(__[rsp], r15);
                c.inc(r12);
                c.iretq();
            });
            machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, WriteSupervisor));
            machine.Load(UserCode, Modes.Assemble(64, UserCode, WriteUser));
        },
    };

    private static void Handle(SmallMachine machine, int vector, uint at, Action<Assembler> write)
    {
        machine.Load(at, Modes.Assemble(64, at, write));
        FaultLog.SetGate64(machine, vector, at);
    }

    private static void WriteUser(Assembler c)
    {
        var again = c.CreateLabel();
        c.mov(eax, 5);
        c.movd(xmm1, eax);
        c.pxor(xmm0, xmm0);
        c.Label(ref again);
        c.mov(__qword_ptr[UserData], rbx);
        c.paddd(xmm0, xmm1);
        c.xor(ecx, ecx);
        c.mov(eax, 1);
        c.xor(edx, edx);
        c.div(ecx);
        c.syscall();
        c.add(r8, __qword_ptr[UserData]);
        c.dec(ebx);
        c.jne(again);
        c.movd(__dword_ptr[UserData + 16], xmm0);
        c.syscall();
    }

    // Reads twice as much of the user's memory as the user has written there, once with the right to, and once for nothing.
    private static void WriteSupervisor(Assembler c)
    {
        var end = c.CreateLabel();
        var forbidden = c.CreateLabel();
        var odd = c.CreateLabel();
        c.inc(r14);
        c.test(ebx, ebx);
        c.je(end);
        c.mov(r10, rcx);
        c.mov(r9, r11);
        c.stac();
        c.add(r8, __qword_ptr[UserData]);
        c.add(r8, __qword_ptr[UserData]);
        c.inc(__qword_ptr[UserData + 8]);
        c.clac();
        c.lea(r15, __[forbidden]);
        c.mov(esp, Layout.KernelStack);
        c.mov(rax, __qword_ptr[UserData]);
        c.inc(r12);
        c.Label(ref forbidden);
        c.test(ebx, 1);
        c.jne(odd);
        c.mov(rcx, r10);
        c.mov(r11, r9);
        c.mov(esp, UserStack);
        c.sysretq();
        c.Label(ref odd);
        c.push(Layout.UserData);
        c.push((int)UserStack);
        c.push(r9);
        c.push(Layout.UserCode64);
        c.push(r10);
        c.iretq();
        c.Label(ref end);
        c.@out((byte)Layout.EndPort, al);
        c.hlt();
    }
}
