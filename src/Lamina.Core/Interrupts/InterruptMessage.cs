// An interrupt as it travels between controllers once it has left its line: from an I/O APIC, a message-signalled device
// or another CPU to the local APICs. Not a line (see Interrupts.cs) and not a vector in a CPU.
namespace Lamina.Core.Interrupts;

/// <summary>What a message asks of the local APIC that accepts it (SDM vol. 3, 11.6.1; the encoding of bits 8 to 10).</summary>
public enum InterruptDeliveryMode : byte
{
    /// <summary>The vector, to every destination.</summary>
    Fixed = 0,

    /// <summary>The vector, to the one destination that does the least urgent work.</summary>
    LowestPriority = 1,

    /// <summary>System management: no machine of ours has it; ignored.</summary>
    Smi = 2,

    /// <summary>Reserved by the encoding; ignored.</summary>
    Reserved = 3,

    /// <summary>Non-maskable interrupt.</summary>
    Nmi = 4,

    /// <summary>INIT.</summary>
    Init = 5,

    /// <summary>Start-up: the vector is the page to start at.</summary>
    StartUp = 6,

    /// <summary>The vector is to be asked of the 8259 pair.</summary>
    External = 7,
}

/// <summary>An interrupt message.</summary>
/// <param name="Destination">An APIC ID, or a logical destination; <see cref="Broadcast"/> for all in either case.</param>
/// <param name="Logical">How <paramref name="Destination"/> is to be read (SDM vol. 3, 11.6.2).</param>
/// <param name="Mode">What is asked.</param>
/// <param name="Vector">0 to 255; below 16 is illegal for fixed and lowest priority.</param>
/// <param name="Level">Level triggered: its end of interrupt is told to the I/O APIC.</param>
public readonly record struct InterruptMessage(uint Destination, bool Logical, InterruptDeliveryMode Mode, byte Vector, bool Level)
{
    /// <summary>The destination that means everybody. Eight-bit sources widen their 0xFF to it.</summary>
    public const uint Broadcast = uint.MaxValue;

    /// <summary>Widens the destination of an eight-bit source (I/O APIC, MSI, xAPIC): 0xFF means everybody (SDM vol. 3, 11.6.2.3).</summary>
    public static uint Widen(byte destination) => destination == 0xff ? Broadcast : destination;

    /// <summary>The address and the value by which a device would send it (SDM vol. 3, 11.11).</summary>
    public (uint Address, uint Data) ToMsi()
    {
        var hint = Mode == InterruptDeliveryMode.LowestPriority ? MsiRedirectionHint : 0;
        return (MsiWindow | (Destination & 0xff) << 12 | hint | (Logical ? MsiLogical : 0), Vector | (uint)Mode << 8 | (Level ? MsiLevel | MsiAsserted : 0));
    }

    /// <summary>
    /// Reads a message-signalled interrupt (SDM vol. 3, 11.11). Null where it asks for nothing: an address outside
    /// 0xFEExxxxx, or the release of a level.
    /// </summary>
    /// <param name="address">The guest-physical address that a device would write to.</param>
    /// <param name="data">The value that it would write.</param>
    public static InterruptMessage? FromMsi(ulong address, uint data)
    {
        const ulong windowMask = ~0xf_fffful;
        var level = (data & MsiLevel) != 0;
        if ((address & windowMask) != MsiWindow || (level && (data & MsiAsserted) == 0)) return null;
        var mode = (InterruptDeliveryMode)(data >> 8 & 7);
        if (mode == InterruptDeliveryMode.Fixed && (address & (MsiRedirectionHint | MsiLogical)) == (MsiRedirectionHint | MsiLogical))
            mode = InterruptDeliveryMode.LowestPriority;
        return new InterruptMessage(Widen((byte)(address >> 12)), (address & MsiLogical) != 0, mode, (byte)data, level);
    }

    private const uint MsiWindow = 0xfee0_0000, MsiRedirectionHint = 1 << 3, MsiLogical = 1 << 2, MsiLevel = 1 << 15, MsiAsserted = 1 << 14;
}

/// <summary>Carries messages to the local APICs.</summary>
public interface IInterruptBus
{
    /// <summary>
    /// Delivers a message. Any thread may call, with the lock of an I/O APIC or a device held, but never with a local
    /// APIC's.
    /// </summary>
    /// <returns>Whether at least one local APIC accepted it.</returns>
    bool Deliver(in InterruptMessage message);
}

/// <summary>The 8259 pair as a local APIC sees it: the one that knows the vector of an external interrupt.</summary>
public interface IExternalInterruptController
{
    /// <summary>The interrupt acknowledge cycle: takes the request with the highest priority and returns its vector (a spurious one where none waits).</summary>
    byte Acknowledge();
}
