// The last steps of the lock before the filter of system calls: the process enters an empty root, and where it is root's, becomes a user that
// nobody else is. What it writes from then on lies in its folder run/, which is given to that user; the next start takes it back.
using System.Security.Cryptography;
using System.Text;
using Lamina.Host;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Locking;

internal static class MachineUser
{
    // Numbers that neither distributions nor systemd nor containers use: 0x7000_0000 and the 24 bits behind. Where those are not to be had, as in
    // a container of an ordinary user's, it is nobody.
    private const uint First = 0x7000_0000, Mask = 0xff_ffff, Nobody = 65534;

    /// <summary>The user that a machine's process becomes.</summary>
    internal static uint Of(MachineHome home) => First + (BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes(home.Folder))) & Mask);

    /// <summary>Enters the empty root, and becomes the user.</summary>
    /// <param name="locked">What the process is locked by so far.</param>
    /// <param name="plan">What is wanted.</param>
    /// <param name="groups">The control groups whose limits it changes.</param>
    /// <param name="home">Its folder.</param>
    internal static LockReport Enter(LockReport locked, LockPlan plan, LimitGroups groups, MachineHome home)
    {
        if (locked.InForce.Contains(LockReport.Root))
        {
            try
            {
                ConfinedProcess.Empty();
            }
            catch (HostException refused)
            {
                locked = locked.Without(LockReport.Root, refused.Message);
            }
        }
        if (!plan.HasOwnUser || locked.InForce.Contains(LockReport.User)) return locked;
        // Another user could not reach run/ through the folders above it.
        if (!locked.InForce.Contains(LockReport.Root)) return locked.Without(LockReport.User, "a user of its own takes a root of its own");
        HostException? failure = null;
        foreach (var user in (uint[])[Of(home), Nobody])
        {
            try
            {
                ConfinedProcess.Give(home.Work, user);
                foreach (var group in groups.Paths) ConfinedProcess.Give(group, user);
                ConfinedProcess.Become(user);
                return locked.With(LockReport.User);
            }
            catch (HostException refused)
            {
                failure = refused;
            }
        }
        return locked.Without(LockReport.User, failure!.Message);
    }

    /// <summary>Takes the translator's code back alone, which is used where it is this user's: the last process is yet there, and may have to write beside it.</summary>
    internal static void TakeCodeBack(MachineHome home)
    {
        if (HostProcess.IsRoot && Directory.Exists(home.Code)) ConfinedProcess.Give(home.Code, 0);
    }

    /// <summary>Takes back what the machine's last process was given.</summary>
    internal static void TakeBack(MachineHome home)
    {
        if (HostProcess.IsRoot && Directory.Exists(home.Work)) ConfinedProcess.Give(home.Work, 0);
    }
}
