// The host CPU as oracle for the C# executor: runs one user-mode instruction with given registers, flags, vector state
// and a memory window, natively and on a guest processor whose page tables map the window at the same addresses.
using System.Runtime.InteropServices;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.X86;

internal sealed unsafe class HostRunner : IDisposable
{
    /// <summary>Bytes of the memory window that instructions work on.</summary>
    public const int WindowSize = 16 * 4096;

    private const ulong WindowInGuest = 0x40_0000, Tables = 0x20_0000;
    private const int FlagsAt = 128, VectorsAt = 192;

    // rdi: the state. Saves what the ABI wants back, loads vector state (mask in [rdi+136]), flags and registers; runs the instruction;
    // stores everything. The host's stack pointer stays.
    private static readonly byte[] s_prologue =
    [
        0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x57, // push rbx rbp r12-r15 rdi
        0x8b, 0x87, 0x88, 0, 0, 0, 0x31, 0xd2, // mov eax,[rdi+136]; xor edx,edx
        0x48, 0x0f, 0xae, 0xaf, 0xc0, 0, 0, 0, // xrstor64 [rdi+192]
        0xff, 0xb7, 0x80, 0, 0, 0, // push [rdi+128]
        0x48, 0x8b, 0x07, 0x48, 0x8b, 0x4f, 0x08, 0x48, 0x8b, 0x57, 0x10, 0x48, 0x8b, 0x5f, 0x18, // rax rcx rdx rbx
        0x48, 0x8b, 0x6f, 0x28, 0x48, 0x8b, 0x77, 0x30, // rbp rsi
        0x4c, 0x8b, 0x47, 0x40, 0x4c, 0x8b, 0x4f, 0x48, 0x4c, 0x8b, 0x57, 0x50, 0x4c, 0x8b, 0x5f, 0x58, // r8-r11
        0x4c, 0x8b, 0x67, 0x60, 0x4c, 0x8b, 0x6f, 0x68, 0x4c, 0x8b, 0x77, 0x70, 0x4c, 0x8b, 0x7f, 0x78, // r12-r15
        0x48, 0x8b, 0x7f, 0x38, 0x9d, // rdi; popfq
    ];

    private static readonly byte[] s_epilogue =
    [
        0x48, 0x87, 0x3c, 0x24, // xchg rdi,[rsp]
        0x48, 0x89, 0x07, 0x48, 0x89, 0x4f, 0x08, 0x48, 0x89, 0x57, 0x10, 0x48, 0x89, 0x5f, 0x18,
        0x48, 0x89, 0x6f, 0x28, 0x48, 0x89, 0x77, 0x30,
        0x4c, 0x89, 0x47, 0x40, 0x4c, 0x89, 0x4f, 0x48, 0x4c, 0x89, 0x57, 0x50, 0x4c, 0x89, 0x5f, 0x58,
        0x4c, 0x89, 0x67, 0x60, 0x4c, 0x89, 0x6f, 0x68, 0x4c, 0x89, 0x77, 0x70, 0x4c, 0x89, 0x7f, 0x78,
        0x8f, 0x47, 0x38, // pop [rdi+56]
        0x9c, 0x8f, 0x87, 0x80, 0, 0, 0, // pushfq; pop [rdi+128]
        0xfc, 0x8b, 0x87, 0x88, 0, 0, 0, 0x31, 0xd2, // cld; mov eax,[rdi+136]; xor edx,edx
        0x48, 0x0f, 0xae, 0xa7, 0xc0, 0, 0, 0, // xsave64 [rdi+192]
        0xdb, 0xe3, 0x68, 0x80, 0x1f, 0, 0, 0x0f, 0xae, 0x14, 0x24, 0x58, // fninit; push 0x1f80; ldmxcsr [rsp]; pop rax
        0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3,
    ];

    private readonly SharedMemory _codeMemory = SharedMemory.Create("test-code", 4096);
    private readonly HostReservation _code = HostReservation.Reserve(8192);
    private readonly HostReservation _window = HostReservation.Reserve(WindowSize);
    private readonly byte* _state;

    public HostRunner(string model = CpuSelection.HostName)
    {
        _code.MapShared(0, 4096, _codeMemory, 0, MappingAccess.ReadWrite);
        _code.MapShared(4096, 4096, _codeMemory, 0, MappingAccess.ReadExecute);
        _window.MapAnonymous(0, WindowSize);
        _state = (byte*)NativeMemory.AlignedAlloc(VectorsAt + 8192, 64);
        new Span<byte>(_state, VectorsAt + 8192).Clear();
        Model = CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000, Selection = CpuSelection.Parse(model) });
        Guest = new TestMachine(Model);
        Guest.EnterLong(cpl: 3);
        MapWindow();
        Guest.Context->Cr4 |= Cr4.OSFXSR | Cr4.OSXSAVE;
        Guest.Context->Xcr0 = Model.XcrMask;
    }

    public CpuModel Model { get; }

    public TestMachine Guest { get; }

    /// <summary>Linear address of the window, for the host and the guest.</summary>
    public ulong Window => (ulong)_window.Address;

    public Span<byte> HostWindow => new((void*)_window.Address, WindowSize);

    public Span<byte> GuestWindow
    {
        get
        {
            Assert.True(Guest.Memory.TrySlice(WindowInGuest, WindowSize, out var span));
            return span;
        }
    }

    public Span<byte> HostVectors => new(_state + VectorsAt, 4096);

    public Span<byte> GuestVectors => new(Guest.Context->XsaveArea, 4096);

    public ulong HostRegister(int n) => ((ulong*)_state)[n];

    public ulong HostFlags => *(ulong*)(_state + FlagsAt);

    /// <summary>Runs on the guest; a string instruction goes on until it is done.</summary>
    public Outcome RunOnGuest(ReadOnlySpan<byte> code, out Instruction instruction)
    {
        Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(code, CodeSize.Code64, Model.InstructionSet, out instruction));
        Guest.Context->Rip = TestMachine.Code;
        while (true)
        {
            var outcome = Guest.Processor.Execute(in instruction);
            if (outcome != Outcome.Branched || Guest.Context->Rip != TestMachine.Code) return outcome;
        }
    }

    /// <summary>Copies the guest's registers, memory and vector state to the host's side.</summary>
    public void CopyToHost()
    {
        for (var n = 0; n < 16; n++) ((ulong*)_state)[n] = Guest.Context->Gpr[n];
        *(ulong*)(_state + FlagsAt) = (Guest.Flags & 0xcd5) | 0x202;
        GuestWindow.CopyTo(HostWindow);
        GuestVectors[..(int)Model.StandardSize(Model.XcrMask)].CopyTo(HostVectors);
    }

    public void RunNatively(ReadOnlySpan<byte> code)
    {
        *(uint*)(_state + FlagsAt + 8) = (uint)Model.XcrMask;
        if (*(uint*)(_state + VectorsAt + 24) == 0) *(uint*)(_state + VectorsAt + 24) = 0x1f80;
        if (*(ulong*)(_state + FlagsAt) == 0) *(ulong*)(_state + FlagsAt) = 0x202;
        var target = _code.Slice(0, 4096);
        s_prologue.CopyTo(target);
        code.CopyTo(target[s_prologue.Length..]);
        s_epilogue.CopyTo(target[(s_prologue.Length + code.Length)..]);
        ((delegate* unmanaged<byte*, void>)(_code.Address + 4096))(_state);
    }

    public void Dispose()
    {
        Guest.Dispose();
        _code.Dispose();
        _codeMemory.Dispose();
        _window.Dispose();
        NativeMemory.AlignedFree(_state);
    }

    private void MapWindow()
    {
        // One table a level: the window must not straddle 2 MiB, which a scan of the reservation's address tells.
        for (var page = 0ul; page < WindowSize / 4096; page++)
        {
            var linear = Window + page * 4096;
            Link(TestMachine.PageTables + (linear >> 39 & 511) * 8, Tables);
            Link(Tables + (linear >> 30 & 511) * 8, Tables + 0x1000);
            Link(Tables + 0x1000 + (linear >> 21 & 511) * 8, Tables + 0x2000);
            // Two neighbouring 2 MiB regions use the halves of two tables.
            var table = (Tables + 0x2000) + ((linear >> 21 & 1) << 12);
            Guest.Write(Tables + 0x1000 + (linear >> 21 & 511) * 8, table | 7);
            Guest.Write(table + (linear >> 12 & 511) * 8, (WindowInGuest + page * 4096) | 7);
        }
    }

    private void Link(ulong entry, ulong table) => Guest.Write(entry, table | 7);
}
