// The two host instructions that C# has no name for: a 16-byte compare-and-exchange, and FXSAVE for the bits of MXCSR
// that the host knows. They are a few dozen bytes of machine code in a page of their own.
using Lamina.Host;

namespace Lamina.Engines.X86.Memory;

/// <summary>CMPXCHG16B and FXSAVE on the host.</summary>
internal sealed unsafe class HostInstructions : IDisposable
{
    private const int FxsaveAt = 64;

    // (rdi: destination, rsi: expected, then found; rdx: wanted)
    // push rbx; mov r8,rdx; mov rax,[rsi]; mov rdx,[rsi+8]; mov rbx,[r8]; mov rcx,[r8+8];
    // lock cmpxchg16b [rdi]; mov [rsi],rax; mov [rsi+8],rdx; pop rbx; ret
    private static ReadOnlySpan<byte> CompareExchangeCode =>
    [
        0x53, 0x49, 0x89, 0xd0, 0x48, 0x8b, 0x06, 0x48, 0x8b, 0x56, 0x08, 0x49, 0x8b, 0x18, 0x49, 0x8b, 0x48, 0x08,
        0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0x48, 0x89, 0x06, 0x48, 0x89, 0x56, 0x08, 0x5b, 0xc3,
    ];

    // (rdi: 512 bytes, 16-byte aligned) fxsave64 [rdi]; ret
    private static ReadOnlySpan<byte> FxsaveCode => [0x48, 0x0f, 0xae, 0x07, 0xc3];

    private readonly HostReservation _range;

    /// <summary>Maps the code.</summary>
    /// <exception cref="HostException">The host forbids generated code.</exception>
    public HostInstructions()
    {
        using var memory = SharedMemory.Create("lamina-host-instructions", HostReservation.PageSize);
        _range = HostReservation.Reserve(2 * HostReservation.PageSize);
        _range.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        CompareExchangeCode.CopyTo(_range.Slice(0, CompareExchangeCode.Length));
        FxsaveCode.CopyTo(_range.Slice(FxsaveAt, FxsaveCode.Length));
        _range.MapShared(HostReservation.PageSize, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
    }

    private nint Code => _range.Address + HostReservation.PageSize;

    /// <summary>Writes two words to 16 aligned bytes if they hold the expected ones; gives what was found.</summary>
    public void CompareExchange(byte* destination, ref UInt128 expected, UInt128 wanted)
    {
        fixed (UInt128* found = &expected) ((delegate* unmanaged<byte*, UInt128*, UInt128*, void>)Code)(destination, found, &wanted);
    }

    /// <summary>The MXCSR bits that may be set on this host. SDM vol. 1, 11.6.6.</summary>
    public uint ReadMxcsrMask()
    {
        var buffer = stackalloc byte[512 + 16];
        var area = (byte*)(((nint)buffer + 15) & ~15);
        new Span<byte>(area, 512).Clear();
        ((delegate* unmanaged<byte*, void>)(Code + FxsaveAt))(area);
        var mask = *(uint*)(area + XsaveImage.MxcsrMaskAt);
        return mask != 0 ? mask : 0xffbf;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _range.Dispose();
    }
}
