// Guests that touch everything there is: every port, every byte of the device pages by every kind of access, every MSR of
// the ranges that processors and hypervisors use, and virtio queues that hold anything.
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Hostile;

public sealed class EveryRegisterTests
{
    private const byte Done = 9;
    private const int Slot = 32;
    private const ulong VirtioMmio = 0xFEB0_0000, VirtioMmioUpper = 0xFFFF_FFFF_FEB0_0000;

    // Where the board of pc puts its first device, and the messages of the first of two.
    private const ulong VirtioPci = 0xE000_0000, VirtioPciMessages = 0xE000_8000;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    // Ports whose purpose is to end or restart the machine: each has its own tests.
    private static readonly (int From, int To)[] Ending = [(0x61, 0x64), (0x8F, 0x92), (0xF1, 0xF7), (0x502, 0x505), (0x5FD, 0x60F), (0xCF6, 0xCF9)];

    [Theory]
    [InlineData(0x00000000, MachineType.Micro)]
    [InlineData(0x5A5A5A5A, MachineType.Micro)]
    [InlineData(0xFFFFFFFF, MachineType.Micro)]
    [InlineData(0xA5A5A5A5, MachineType.Pc)]
    [InlineData(0x00000003, MachineType.Pc)]
    public async Task Every_port_is_written_in_every_width(uint value, MachineType machine)
    {
        var code = new Code(TestKernels.Origin);
        foreach (var store in (byte[][])[[0xEE], [0x66, 0xEF], [0xEF]])
            foreach (var (from, to) in Ranges()) PortLoop(code, from, to, value, store);

        var result = await GuestRun.RunAsync(TestKernels.Long(code.Exit(Done)), spec => spec with { Timeout = Long, Type = machine });

        Assert.Equal(GuestRun.CodeOf(Done), result.DebugExitCode);
    }

    [Fact]
    public async Task Every_port_is_read_in_every_width()
    {
        GuestRun.SkipWhereSoftwareAssisted();
        var code = new Code(TestKernels.Origin);
        foreach (var load in (byte[][])[[0xEC], [0x66, 0xED], [0xED], [0x6C], [0x66, 0x6D], [0x6D]])
            PortLoop(code.With32([0xBF], CaseKernel.Scratch), 0, 0x1_0000, 0, load);

        var result = await GuestRun.RunAsync(TestKernels.Long(code.Exit(Done)), spec => spec with { Timeout = Long });

        Assert.Equal(GuestRun.CodeOf(Done), result.DebugExitCode);
    }

    [Theory]
    [InlineData(0xFEE0_0000)]
    [InlineData(0xFEC0_0000)]
    [InlineData(VirtioMmio)]
    [InlineData(VirtioMmio + 0x1000)]
    [InlineData(VirtioMmio + 0x7F80)]
    [InlineData(0xFED0_0000)]
    [InlineData(GuestRun.Memory - 0x80)]
    [InlineData(VirtioPci, MachineType.Pc)]
    [InlineData(VirtioPci + 0x1000, MachineType.Pc)]
    [InlineData(VirtioPci + 0x2F80, MachineType.Pc)]
    [InlineData(VirtioPciMessages, MachineType.Pc)]
    public async Task Device_pages_are_accessed_at_every_offset_by_every_kind_of_access(ulong page, MachineType machine = MachineType.Micro)
    {
        // [rax + disp32] of each: loads, stores, read-modify-writes and vectors of every size.
        byte[][] accesses =
        [
            [0x8A, 0x88], [0x66, 0x8B, 0x88], [0x8B, 0x88], [0x48, 0x8B, 0x88], [0x0F, 0x10, 0x80], [0xC5, 0xFC, 0x10, 0x80], [0xDB, 0xA8], [0x0F, 0xAE, 0x88],
            [0x88, 0x88], [0x66, 0x89, 0x88], [0x89, 0x88], [0x48, 0x89, 0x88], [0x0F, 0x11, 0x80], [0xC5, 0xFC, 0x11, 0x80], [0xDB, 0xB8], [0x0F, 0xAE, 0x80],
            [0xF0, 0x01, 0x88], [0x87, 0x88], [0xF0, 0x48, 0x0F, 0xB1, 0x88], [0xF0, 0x48, 0x0F, 0xC7, 0x88], [0xFF, 0x90], [0xFF, 0xB0], [0x8F, 0x80], [0x0F, 0xAB, 0x88],
        ];
        ulong[] values = [0, 0x0000_00F3_0000_00F3, ulong.MaxValue];
        var registers = values.Select(value => Enumerable.Range(0, 16).Select(register => register == 0 ? page : register == 6 ? CaseKernel.Scratch : value).ToArray()).ToArray();
        var code = new List<byte>();
        var cases = new List<GuestCase>();
        for (var offset = 0; offset < 0x1000; offset += offset < 0x110 || offset >= 0xFE0 ? 1 : 7)
        {
            foreach (var access in accesses)
            {
                cases.Add(new GuestCase(CaseMode.Long0, CaseKernel.CaseCode + (uint)code.Count, CaseKernel.Scratch + 0x2000, 0, cases.Count % values.Length));
                code.AddRange(access);
                code.AddRange(BitConverter.GetBytes(offset));
                code.AddRange([0x0F, 0x0B]);
            }
        }

        await RunCasesAsync(machine, cases, registers, (CaseKernel.CaseCode, code.ToArray()));
    }

    [Theory]
    [InlineData(0x0000_0000, 0x1400)]
    [InlineData(0x4000_0000, 0x0200)]
    [InlineData(0x4B56_4D00, 0x0010)]
    [InlineData(0xC000_0000, 0x0400)]
    [InlineData(0xC001_0000, 0x0400)]
    public async Task Every_MSR_is_read_and_written_with_odd_values(uint first, uint count)
    {
        ulong[] values = [0, 1, ulong.MaxValue, 0x8000_0000_0000_0000, 0xFEE0_0D00, CaseKernel.Scratch | 1, 0x0707_0707_0707_0707];
        var code = new byte[count * values.Length * Slot];
        var cases = new List<GuestCase>();
        for (var index = 0u; index < count; index++)
        {
            foreach (var value in values)
            {
                var at = cases.Count * Slot;
                byte[] piece = [.. new Code(0).With32([0xB9], first + index).Raw(0x0F, 0x32).WriteMsr(first + index, value).Raw(0x0F, 0x0B).ToArray()];
                piece.CopyTo(code, at);
                cases.Add(new GuestCase(CaseMode.Long0, CaseKernel.CaseCode + (uint)at, CaseKernel.Scratch + 0x2000, 0, 0));
            }
        }

        await RunCasesAsync(cases, [new ulong[16]], (CaseKernel.CaseCode, code));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task Virtio_queues_that_hold_anything_harm_nobody_else(int seed)
    {
        const int count = 300, length = 1024;
        var random = new Random(seed);
        var code = new byte[count * length];
        var cases = new List<GuestCase>();
        for (var i = 0; i < count; i++)
        {
            Queue(random).CopyTo(code, i * length);
            cases.Add(new GuestCase(CaseMode.Long0, CaseKernel.CaseCode + (uint)(i * length), CaseKernel.Scratch + 0x2000, 0, 0));
        }
        var rings = new byte[0x8_0000];
        for (var at = 0; at < rings.Length; at += 16)
        {
            // Descriptors of a sort: addresses of every kind (code among them), lengths, flags, next. Virtio 1.2, 2.7.5.
            TestKernels.U64(rings, at, Address(random));
            TestKernels.U32(rings, at + 8, random.Next(4) switch { 0 => (uint)random.Next(), 1 => uint.MaxValue, 2 => 0, _ => (uint)random.Next(0x3000) });
            TestKernels.U16(rings, at + 12, (ushort)random.Next(8));
            TestKernels.U16(rings, at + 14, (ushort)random.Next(random.Next(2) == 0 ? 16 : 65536));
        }

        await RunCasesAsync(cases, [Enumerable.Repeat(VirtioMmioUpper, 16).ToArray()], (CaseKernel.CaseCode, code), (CaseKernel.Scratch, rings));
    }

    private static Task RunCasesAsync(List<GuestCase> cases, IReadOnlyList<ulong[]> registers, params (uint Address, byte[] Bytes)[] pieces) => RunCasesAsync(MachineType.Micro, cases, registers, pieces);

    private static async Task RunCasesAsync(MachineType machine, List<GuestCase> cases, IReadOnlyList<ulong[]> registers, params (uint Address, byte[] Bytes)[] pieces)
    {
        var result = await GuestRun.RunAsync(CaseKernel.Build(cases, registers, pieces), spec => spec with { Timeout = Long, Type = machine });

        Assert.True(result.DebugExitCode == GuestRun.CodeOf(CaseKernel.Finished), $"{result}");
    }

    private static IEnumerable<(int From, int To)> Ranges()
    {
        var from = 0;
        foreach (var (first, last) in Ending)
        {
            yield return (from, first);
            from = last + 1;
        }
        yield return (from, 0x1_0000);
    }

    private static void PortLoop(Code code, int from, int to, uint value, byte[] access)
    {
        code.With32([0xBA], (uint)from).With32([0xB9], (uint)(to - from)).With32([0xB8], value);
        code.Raw(access).Raw(0xFF, 0xC2).Raw(0xE2, (byte)-(access.Length + 4));
    }

    // One device brought up as a driver does, with rings anywhere, then kicked; between, registers written at random.
    private static byte[] Queue(Random random)
    {
        var device = (uint)(VirtioMmio + (ulong)(random.Next(2) * 0x1000));
        var code = new Code(0);
        code.Store32(device + 0x70, 0).Store32(device + 0x70, 1).Store32(device + 0x70, 3);
        code.Store32(device + 0x24, 1).Store32(device + 0x20, random.Next(3) == 0 ? (uint)random.Next() : 1 | (uint)random.Next(2) << 2);
        code.Store32(device + 0x24, 0).Store32(device + 0x20, (uint)random.Next(1 << 30)).Store32(device + 0x70, 0xB);
        for (var queue = 0u; queue < 2; queue++)
        {
            code.Store32(device + 0x30, random.Next(5) == 0 ? (uint)random.Next(20) : queue).Store32(device + 0x38, random.Next(4) == 0 ? (uint)random.Next(70000) : 1u << random.Next(11));
            foreach (var register in (uint[])[0x80, 0x90, 0xA0])
            {
                var address = random.Next(6) == 0 ? Address(random) : CaseKernel.Scratch + ((uint)random.Next(0x6000) << 4);
                code.Store32(device + register, (uint)address).Store32(device + register + 4, (uint)(address >> 32));
            }
            code.Store32(device + 0x44, 1);
        }
        code.Store32(device + 0x70, 0xF);
        for (var i = 0; i < 8; i++)
        {
            if (random.Next(3) == 0) code.Store32(device + ((uint)random.Next(0x44) << 2), (uint)random.Next());
            code.Store32(device + 0x50, (uint)random.Next(3));
        }
        return code.Raw(0x0F, 0x0B).ToArray();
    }

    private static ulong Address(Random random) => random.Next(8) switch
    {
        0 => VirtioMmio,
        1 => GuestRun.Memory - (ulong)random.Next(32),
        2 => ulong.MaxValue - (ulong)random.Next(4096),
        3 => CaseKernel.CaseCode + (uint)random.Next(0x8000),
        4 => TestKernels.Origin + (uint)random.Next(0x100),
        5 => (ulong)random.NextInt64(),
        _ => CaseKernel.Scratch + (uint)random.Next(0x8_0000),
    };
}
