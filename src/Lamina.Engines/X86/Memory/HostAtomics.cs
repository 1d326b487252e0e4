// The one atomic operation that C# has no name for: a 16-byte compare-and-exchange. It is a dozen bytes of machine code
// in a page of its own.
using Lamina.Host;

namespace Lamina.Engines.X86;

/// <summary>CMPXCHG16B on the host.</summary>
internal sealed unsafe class HostAtomics : IDisposable
{
    // (rdi: destination, rsi: expected, then found; rdx: wanted)
    // push rbx; mov r8,rdx; mov rax,[rsi]; mov rdx,[rsi+8]; mov rbx,[r8]; mov rcx,[r8+8];
    // lock cmpxchg16b [rdi]; mov [rsi],rax; mov [rsi+8],rdx; pop rbx; ret
    private static ReadOnlySpan<byte> Code =>
    [
        0x53, 0x49, 0x89, 0xd0, 0x48, 0x8b, 0x06, 0x48, 0x8b, 0x56, 0x08, 0x49, 0x8b, 0x18, 0x49, 0x8b, 0x48, 0x08,
        0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0x48, 0x89, 0x06, 0x48, 0x89, 0x56, 0x08, 0x5b, 0xc3,
    ];

    private readonly SharedMemory _memory;
    private readonly HostReservation _range;

    /// <summary>Maps the code.</summary>
    /// <exception cref="HostException">The host forbids generated code.</exception>
    public HostAtomics()
    {
        _memory = SharedMemory.Create("lamina-atomics", HostReservation.PageSize);
        _range = HostReservation.Reserve(2 * HostReservation.PageSize);
        _range.MapShared(0, HostReservation.PageSize, _memory, 0, MappingAccess.ReadWrite);
        Code.CopyTo(_range.Slice(0, Code.Length));
        _range.MapShared(HostReservation.PageSize, HostReservation.PageSize, _memory, 0, MappingAccess.ReadExecute);
    }

    /// <summary>Writes two words to 16 aligned bytes if they hold the expected ones; gives what was found.</summary>
    public void CompareExchange(byte* destination, ref UInt128 expected, UInt128 wanted)
    {
        var call = (delegate* unmanaged<byte*, UInt128*, UInt128*, void>)(_range.Address + HostReservation.PageSize);
        fixed (UInt128* found = &expected) call(destination, found, &wanted);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _range.Dispose();
        _memory.Dispose();
    }
}
