// What a port of an AHCI controller remembers of its registers.
using Lamina.Core.State;
using static Lamina.Devices.Ata.Ahci.AhciSpec;

namespace Lamina.Devices.Ata.Ahci;

internal struct PortRegisters
{
    internal uint List, ListHigh, Fis, FisHigh, Status, Enable, Command, TaskFile, Signature, Link, LinkControl, LinkError, Active, Issue;

    /// <summary>Whether a command failed, so that none is carried out before software has seen to it.</summary>
    internal bool Halted;

    /// <summary>The slot of that command.</summary>
    internal int Failed;

    /// <summary>Whether the device's first frame waits to be received; whether it is kept in reset.</summary>
    internal bool FrameWaits, InReset;

    internal readonly void Require() =>
        SavedFields.Require((List & ~ListMask) == 0 && (Fis & ~FisMask) == 0 && (Enable & ~EnableMask) == 0 && (Command & ~CommandWritable) == 0
            && (LinkControl & ~LinkControlMask) == 0 && Link is 0 or 4 or LinkUp && Failed is >= 0 and < Slots, "registers of a port that cannot be");

    internal static void Exchange(SavedFields fields, ref PortRegisters port)
    {
        fields.Value(1, ref port.List);
        fields.Value(2, ref port.ListHigh);
        fields.Value(3, ref port.Fis);
        fields.Value(4, ref port.FisHigh);
        fields.Value(5, ref port.Status);
        fields.Value(6, ref port.Enable);
        fields.Value(7, ref port.Command);
        fields.Value(8, ref port.TaskFile);
        fields.Value(9, ref port.Signature);
        fields.Value(10, ref port.Link);
        fields.Value(11, ref port.LinkControl);
        fields.Value(12, ref port.LinkError);
        fields.Value(13, ref port.Active);
        fields.Value(14, ref port.Issue);
        fields.Value(15, ref port.Halted);
        fields.Value(16, ref port.Failed);
        fields.Value(17, ref port.FrameWaits);
        fields.Value(18, ref port.InReset);
    }
}
