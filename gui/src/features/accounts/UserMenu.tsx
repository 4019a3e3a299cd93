import { useNavigate } from "@tanstack/react-router";
import { CircleUser, KeyRound, LogOut, ScrollText, Users } from "lucide-react";

import { logOut } from "@/api/accounts";
import type { Me } from "@/api/types";
import { IconButton } from "@/components/Button";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/components/Menu";
import { complain } from "@/components/Toasts";

export function UserMenu({ me }: { me: Me }) {
  const navigate = useNavigate();
  const leave = async () => {
    try {
      await logOut();
      window.location.reload();
    } catch (error) {
      complain("You are still logged in", error);
    }
  };
  return (
    <Menu trigger={<IconButton label={`${me.name}, ${me.role}`}>{<CircleUser aria-hidden />}</IconButton>}>
      <MenuLabel>
        {me.name} ({me.role})
      </MenuLabel>
      <MenuItem icon={<KeyRound aria-hidden />} onSelect={() => void navigate({ to: "/account" })}>
        Password and tokens
      </MenuItem>
      {me.role === "admin" && (
        <>
          <MenuItem icon={<Users aria-hidden />} onSelect={() => void navigate({ to: "/users" })}>
            Users
          </MenuItem>
          <MenuItem icon={<ScrollText aria-hidden />} onSelect={() => void navigate({ to: "/audit" })}>
            Audit log
          </MenuItem>
        </>
      )}
      <MenuLine />
      <MenuItem icon={<LogOut aria-hidden />} onSelect={() => void leave()}>
        Log out
      </MenuItem>
    </Menu>
  );
}
