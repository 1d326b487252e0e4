// What a report says of a fault in the machine code that all blocks share: each part of it has its name.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed unsafe class StubsTests
{
    private const int CodeBytes = 16 << 20;

    [Theory]
    [InlineData((int)GsBaseChange.Kept)]
    [InlineData((int)GsBaseChange.Lost)]
    [InlineData((int)GsBaseChange.Asked)]
    public void Every_stub_is_called_by_its_name(int gsBase)
    {
        using var buffer = new CodeBuffer(CodeBytes);
        var stubs = new Stubs(buffer, (GsBaseChange)gsBase);
        var at = stubs.Addresses;

        foreach (var (name, starts) in (ReadOnlySpan<(string, ulong[])>)
        [
            ("entry", [(ulong)stubs.Enter, (ulong)stubs.EnterAgain]),
            ("vector state", [at.LoadVectors]),
            ("exit of a site", [at.Commit, at.Segment, at.System, at.Port, at.Poll, at.Link, at.FarLink, at.Stale, at.Step, at.BadTarget, at.Undecodable]),
            ("GS base", at.SetGsBase == 0 ? [] : [at.SetGsBase]),
            ("page walk", [at.WalkRead, at.WalkWrite, at.Read, at.Write, .. at.ReadSized[1..], .. at.WriteSized[1..], .. at.StoreSized[1..]]),
            ("jump", [at.JumpMiss, at.JumpEmpty, at.JumpSecond, at.Jump]),
            ("change of privilege", [at.Syscall, at.Sysret, at.Iret]),
            ("system instruction", [at.Cpuid, at.ReadMsr, at.WriteMsr, at.InvalidatePage, at.WriteTaskPriority]),
            ("exit of a fault", [stubs.HostFault]),
            ("string instruction", [.. at.Move, .. at.Store, .. at.MoveElement, .. at.StoreElement]),
        ])
            foreach (var start in starts)
            {
                Assert.InRange(start, buffer.ExecutableBase, buffer.ExecutableBase + CodeBytes);
                // Every stub is longer than one byte.
                Assert.Equal((name, name), (stubs.NameAt(start), stubs.NameAt(start + 1)));
            }
        Assert.Equal((GsBaseChange)gsBase == GsBaseChange.Asked, at.SetGsBase != 0);
        Assert.Equal(("exit", "exit of an access"), (stubs.NameAt(buffer.ExecutableBase), stubs.NameAt(at.WalkRead - 1)));
        Assert.Equal("unknown stub", stubs.NameAt(buffer.ExecutableBase - 1));
    }

    /// <summary>A stub that is added has a row above.</summary>
    [Fact]
    public void No_address_is_without_a_row() => Assert.Equal(
        ["BadTarget", "Commit", "Cpuid", "FarLink", "GsBase", "InvalidatePage", "Iret", "Jump", "JumpEmpty", "JumpMiss", "JumpSecond", "Link", "LoadVectors", "Move", "MoveElement", "Poll", "Port", "Read", "ReadMsr", "ReadSized", "Segment", "SetGsBase", "Stale", "Step", "Store", "StoreElement", "StoreSized", "Syscall", "Sysret", "System", "Undecodable", "WalkRead", "WalkWrite", "Write", "WriteMsr", "WriteSized", "WriteTaskPriority"],
        typeof(StubAddresses).GetFields().Select(field => field.Name).Order(StringComparer.Ordinal));
}
