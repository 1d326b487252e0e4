// The XSAVE image under CPU models with and without the components of AVX and AVX-512: what a model lacks is never in use,
// has no place, and disturbs nothing.
using Lamina.Core.Engine;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Cpuid;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class XsaveImageTests
{
    public static TheoryData<uint> Components => [3, 7, 0xe7];

    private static TestMachine Make(uint components) =>
        new(CpuModel.Create(SampleHosts.WithComponents(components), new CpuModelOptions { TscHz = 1_000_000_000, HostUnaffected = _ => true }));

    private static int Width(uint components) => components switch { 3 => 16, 7 => 32, _ => 64 };

    [Theory]
    [MemberData(nameof(Components))]
    public void ARegisterIsAsWideAsTheModelsComponents(uint components)
    {
        using var machine = Make(components);
        var image = new XsaveImage(machine.Context->XsaveArea, machine.Processor.Model);
        Span<byte> written = stackalloc byte[64], read = stackalloc byte[64];
        for (var register = 0; register < 16; register++)
        {
            written.Fill((byte)(register + 1));
            image.WriteVector(register, written);
        }
        for (var register = 0; register < 16; register++)
        {
            written.Fill((byte)(register + 1));
            written[Width(components)..].Clear();
            image.ReadVector(register, read);
            Assert.Equal(Convert.ToHexString(written), Convert.ToHexString(read));
        }
        // Registers from 16 on have a component to themselves.
        Assert.Equal(components & 0x46ul, image.StateBits);
        Assert.Equal((XsaveImage.InitialMxcsr, XsaveImage.InitialControl), (image.Mxcsr, *(ushort*)image.Area));
        Assert.True(image.IsLoadable);
    }

    [Theory]
    [MemberData(nameof(Components))]
    public void ZerosAboveStartNoComponent(uint components)
    {
        using var machine = Make(components);
        var image = new XsaveImage(machine.Context->XsaveArea, machine.Processor.Model);
        Span<byte> vector = stackalloc byte[64];
        vector[..16].Fill(0xaa);

        image.WriteVector(3, vector);

        Assert.Equal(1ul << XsaveImage.Sse, image.StateBits);
    }

    [Theory]
    [MemberData(nameof(Components))]
    public void ShorterWritesClearWhatIsAbove(uint components)
    {
        using var machine = Make(components);
        var image = new XsaveImage(machine.Context->XsaveArea, machine.Processor.Model);
        Span<byte> vector = stackalloc byte[64];
        vector.Fill(0xaa);
        image.WriteVector(3, vector);

        image.WriteVector(3, vector[..16]);

        image.ReadVector(3, vector);
        Assert.False(vector[16..].ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void AComponentThatTheModelLacksHasNoPlace()
    {
        using var machine = Make(7);
        var area = (nint)machine.Context->XsaveArea;
        var model = machine.Processor.Model;

        Assert.Throws<InvalidOperationException>(() => new XsaveImage((byte*)area, model).WriteMask(1, 1));
        Assert.Throws<InvalidOperationException>(() => new XsaveImage((byte*)area, model).WriteVector(16, new byte[64]));
        Assert.True(new XsaveImage((byte*)area, model).IsLoadable);
    }

    [Fact]
    public void StateThatTheProcessorDoesNotTakeIsRefusedAtTheInstructionThatLeftIt()
    {
        using var machine = Make(7);
        var image = new XsaveImage(machine.Context->XsaveArea, machine.Processor.Model);
        Assert.True(machine.Processor.KeepVectorsLoadable());

        image.StateBits |= 1 << XsaveImage.ZmmHigh256;
        Assert.False(machine.Processor.KeepVectorsLoadable());
        Assert.Equal(Vector.InvalidOpcode, machine.Processor.Fault.Vector);
        Assert.True(machine.Processor.KeepVectorsLoadable());

        image.Mxcsr |= 1u << 31;
        Assert.False(machine.Processor.KeepVectorsLoadable());
        Assert.Equal(XsaveImage.InitialMxcsr, image.Mxcsr);
    }

    [Theory]
    [InlineData(3, 7ul, 0ul, "XCR0 0x4")]
    [InlineData(7, 7ul, 0x40ul, "vector components 0x40")]
    [InlineData(7, 0xe7ul, 0xe0ul, "XCR0 0xe0, vector components 0xe0")]
    public void AStateWithMoreComponentsIsRefusedWithASentence(uint components, ulong xcr0, ulong inUse, string named)
    {
        using var machine = Make(components);
        var state = new VcpuState();
        machine.Processor.Save(state);
        state.Xcr0 = xcr0;
        state.Xsave = new byte[4096];
        BitConverter.TryWriteBytes(state.Xsave.AsSpan(XsaveImage.HeaderAt), inUse);

        var refused = Assert.Throws<ArgumentException>(() => machine.Processor.Load(state));

        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
    }
}
